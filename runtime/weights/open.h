// Opening a weights file of any format.
#pragma once

#include <filesystem>
#include <memory>

#include "runtime/weights/mapped_file.h"
#include "runtime/weights/weights_source.h"

namespace dunlin {

// By content, and by the name's ending where the content tells nothing: safetensors or a PyTorch checkpoint. Names are
// the file's own (name_scheme.h makes them canonical). BadFile begins with the path.
Result<std::shared_ptr<const WeightsSource>> openWeights(const FileBytes& file);
Result<std::shared_ptr<const WeightsSource>> openWeights(const std::filesystem::path& path);

}  // namespace dunlin
