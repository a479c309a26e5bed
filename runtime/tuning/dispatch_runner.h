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

// What a dispatch reads beside its tensors: a picture for preprocess. RGBA8, rows without gaps.
struct RunnerPicture {
    std::span<const std::byte> pixels;
    int width = 0, height = 0;
    const PreprocessSpec* spec = nullptr;
};

// A dispatch with buffers of its own, in device memory. Not thread-safe. Must not outlive device and pipeline; after a
// timeout or loss of the device nothing that it holds can be destroyed: the process should end.
class DispatchRunner {
  public:
    // `tensorBytes`: of every tensor that the dispatch binds; `contents`: of those that it reads. The pipeline may be a
    // foreign one with the layout of the dispatch's kernel.
    static Result<std::unique_ptr<DispatchRunner>> create(const vulkan::VulkanDevice& device,
                                                          const vulkan::Pipeline& pipeline, const Dispatch& dispatch,
                                                          const std::map<TensorId, uint64_t>& tensorBytes,
                                                          const std::map<TensorId, std::vector<std::byte>>& contents,
                                                          const RunnerPicture* picture = nullptr);
    virtual ~DispatchRunner() = default;

    // Fills what is written with 0xff bytes, which are numbers to no float type, runs once, and gives what was written.
    virtual Result<std::map<TensorId, std::vector<std::byte>>> run() = 0;

    // One sample: nanoseconds of one dispatch, from `repeats` of them in one submission with barriers in between. By
    // the GPU's clock where it has one, else by the wall less the cost of a submission.
    virtual Result<double> timeNs(uint32_t repeats) = 0;
    virtual bool usesGpuClock() const = 0;
};

// How often to repeat so that a sample takes about this long; runs the dispatch to find out.
Result<uint32_t> repeatsFor(DispatchRunner& runner, double sampleNs);

}  // namespace dunlin::tuning
