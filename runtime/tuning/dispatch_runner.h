// Runs one dispatch on a device, by itself, again and again: to check what it writes, and to time it.
#pragma once

#include <map>
#include <memory>
#include <span>
#include <vector>

#include "runtime/image/preprocess.h"
#include "runtime/plan/program.h"
#include "runtime/vulkan/pipelines.h"

namespace dunlin::tuning {

// What preprocess reads beside its tensors, in the form that its variant takes (params.h's kSource...): for an image or
// pixels RGBA8, rows without gaps; for a tensor float32 planes [3][height][width] of the network's input size, and no
// spec is needed. Borrowed while the runner is created.
struct RunnerPicture {
    std::span<const std::byte> pixels;
    int width = 0, height = 0;
    const PreprocessSpec* spec = nullptr;
};

// A dispatch with buffers of its own, in device memory. Not thread-safe. Must not outlive device and pipeline; after a
// timeout of the device nothing that it holds can be destroyed: the process should end.
class DispatchRunner {
  public:
    // `tensorBytes`: of every tensor that the dispatch binds; `contents`: of those that it reads, and what is missing
    // at their ends is 0xff. The pipeline may be a foreign one with the layout of the dispatch's kernel.
    // InvalidArgument where something that the dispatch binds is not given, or is too small; DoesNotFit.
    static Result<std::unique_ptr<DispatchRunner>> create(const vulkan::VulkanDevice& device,
                                                          const vulkan::Pipeline& pipeline, const Dispatch& dispatch,
                                                          const std::map<TensorId, uint64_t>& tensorBytes,
                                                          const std::map<TensorId, std::vector<std::byte>>& contents,
                                                          const RunnerPicture* picture = nullptr);
    virtual ~DispatchRunner() = default;

    // Fills what is written with 0xff bytes, which are numbers to no float type, runs once, and gives what was written.
    // InvalidArgument, with the binding's number and name, where it wrote within some KiB before or behind what a
    // binding may write, or to one that the variant has no use for. To that end what is written is bound with 4 KiB
    // more than in the program and in timeNs(), so that no driver's bounds check hides it: a shader that takes its
    // limits from a buffer's length() is refused, too.
    virtual Result<std::map<TensorId, std::vector<std::byte>>> run() = 0;

    // The most repeats of a sample, so that its commands stay small.
    static constexpr uint32_t kMaxRepeats = 4096;
    // One sample: nanoseconds of one dispatch, from `repeats` of them (1 to kMaxRepeats) in one submission with
    // barriers in between. By the GPU's clock where it has one, else by the wall less the cost of a submission.
    virtual Result<double> timeNs(uint32_t repeats) = 0;
    // False as well once the GPU's clock was seen to stand still.
    virtual bool usesGpuClock() const = 0;
};

// How often to repeat so that a sample takes about this long; runs the dispatch to find out, which warms it up, too.
Result<uint32_t> repeatsFor(DispatchRunner& runner, double sampleNs);

}  // namespace dunlin::tuning
