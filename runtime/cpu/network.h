// A graph compiled for the CPU: kernels, one after the other, on one arena.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "runtime/cpu/kernels/aligned.h"
#include "runtime/cpu/kernels/kernel.h"
#include "runtime/cpu/schedule.h"

namespace dunlin::cpu {

// Not thread-safe: one run at a time.
class Network {
  public:
    Network() = default;

    // `kept`: distinct values that can be read after a run. The pool (null: the calling thread) has `threads` threads
    // and must outlive the result. `progress` is called with 0..1 and may be empty; returning false cancels. Folded
    // weights are released step by step. `vectors`: tests choose others, of those that hasVectors().
    static Result<Network> create(const Graph& graph, const WeightsSource& weights, std::span<const ValueId> kept,
                                  ThreadPool* pool, size_t threads, const std::function<bool(float)>& progress,
                                  Vectors vectors = longestVectors());

    // Where the input, NHWC, is to be written before a run, and where a kept value lies after it.
    float* data(ValueId value) const {
        return reinterpret_cast<float*>(arena_.get() + plan_.offsets[static_cast<size_t>(value)]);
    }

    // The same input gives the same bits, on any number of threads and whatever is kept.
    void run();

  private:
    struct RunnableStep {
        std::unique_ptr<Kernel> kernel;
        std::vector<const float*> inputs;
        float* output;
        float* mean;  // null where none is asked for
    };

    Status add(const Graph& graph, const WeightsSource& weights, const Step& step);

    ArenaPlan plan_;
    AlignedBytes arena_, scratch_;
    std::vector<RunnableStep> steps_;
    Workers workers_;
};

}  // namespace dunlin::cpu
