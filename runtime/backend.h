// What the public interface needs of a backend: a session that turns pictures or tensors into outputs, blocking.
// Recording into a caller's command buffer is the Vulkan backend's own (vulkan/session.h).
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "runtime/graph/graph.h"
#include "runtime/image/preprocess.h"
#include "runtime/plan/outputs.h"
#include "runtime/plan/program.h"
#include "runtime/status.h"
#include "runtime/weights/weights_source.h"

namespace dunlin {

// Everything that a backend must know of a model, besides the graph for a size. Immutable, shared.
struct ModelData {
    std::string architecture;
    std::shared_ptr<const WeightsSource> weights;  // canonical names
    PreprocessSpec preprocess;
    int classes = 0;
    // The network for an input of this shape; taps and parameters do not depend on it.
    std::function<Result<Graph>(const Shape& input)> buildGraph;
};

// The input of a blocking run: one picture for each image of the batch, or one tensor, NCHW float32, already
// normalised.
struct HostInput {
    std::span<const PixelView> pictures = {};
    std::span<const float> tensor = {};
};

// One session: a model compiled for a device, size, batch and precision. Not thread-safe: one call at a time.
class Session {
  public:
    virtual ~Session() = default;
    virtual const Shape& inputShape() const = 0;
    // In this order: logits, probabilities, top_classes (uint32), top_probabilities, then the taps as asked for.
    virtual std::span<const OutputSlice> outputs() const = 0;
    virtual uint64_t outputBytes() const = 0;
    virtual uint64_t deviceBytes() const = 0;
    // Blocks. `output` has outputBytes() bytes, laid out as outputs() says. Same bits for the same input, every time.
    virtual Status run(const HostInput& input, std::span<std::byte> output) = 0;
};

// Logits to probabilities and the k likeliest classes; ties go to the lower class number, and NaN comes after every
// number. What the head kernel computes. The spans of softmax are equally long and may be the same; k is the length of
// `classes` and `values`, at most that of `scores` (logits: probabilities that vanish would tie).
void softmax(std::span<const float> logits, std::span<float> probabilities);
void topK(std::span<const float> scores, std::span<uint32_t> classes, std::span<float> values);

}  // namespace dunlin
