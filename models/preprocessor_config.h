// How published weights want their pictures: as their name scheme tells, and as a preprocessor_config.json beside them
// says, which Hugging Face's transformers writes.
#pragma once

#include <array>
#include <optional>
#include <string_view>

#include "runtime/image/preprocess.h"
#include "runtime/status.h"
#include "runtime/weights/name_scheme.h"

namespace dunlin {

PreprocessSpec specOf(const PublishedPreprocess& published);

// What is absent leaves the value that it is applied to.
struct PreprocessorConfig {
    std::optional<int> resize;  // of the short side, in pixels
    std::optional<int> crop;    // a square's side, in pixels
    std::optional<Interpolation> interpolation;
    std::optional<std::array<float, 3>> mean, deviation;
    std::optional<bool> swapRedBlue;

    // BadFile where the resized side is smaller than the crop.
    Status applyTo(PreprocessSpec& spec) const;
};

// Every value is checked: BadFile names the first that is of another type, out of its range, or asks for what is not
// supported (another filter than bilinear and bicubic, pictures that are squashed or not cropped). Fields that concern
// something else are ignored.
Result<PreprocessorConfig> parsePreprocessorConfig(std::string_view json);

}  // namespace dunlin
