// A graph as an XNNPACK runtime: which nodes XNNPACK gets, and how its weights are laid out.
#pragma once

#include <xnnpack.h>

#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "runtime/graph/graph.h"
#include "runtime/status.h"
#include "runtime/weights/weights_source.h"

namespace dunlin {

// XNNPACK reads up to this many floats past the end of what it is given.
constexpr size_t kXnnpackExtraFloats = XNN_EXTRA_BYTES / sizeof(float);

struct RuntimeDeleter {
    void operator()(xnn_runtime_t runtime) const { xnn_delete_runtime(runtime); }
};
struct PoolDeleter {
    void operator()(pthreadpool_t pool) const { pthreadpool_destroy(pool); }
};
using ThreadPool = std::unique_ptr<pthreadpool, PoolDeleter>;

// What went wrong inside XNNPACK, in `what`.
Status statusOf(xnn_status status, const char* what);

// A network compiled for XNNPACK. The graph's input and the kept values are external: index 0 is the input, index 1 + i
// the i-th kept value; each must be given a buffer by xnn_setup_runtime before the first run.
struct CompiledGraph {
    // Static operands that the runtime reads while it runs; its copies of weights are its own.
    std::vector<std::unique_ptr<float[]>> constants;
    std::unique_ptr<xnn_runtime, RuntimeDeleter> runtime;
};

// `kept`: distinct values, none of them the input. The pool (null: the calling thread) must outlive the result.
// `progress` is called with 0..1 and may be empty; returning false cancels.
Result<CompiledGraph> compileForXnnpack(const Graph& graph, const WeightsSource& weights, std::span<const ValueId> kept,
                                        pthreadpool_t pool, const std::function<bool(float)>& progress);

}  // namespace dunlin
