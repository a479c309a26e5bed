// Nodes of a graph as an XNNPACK runtime: what XNNPACK makes of them, and how its weights are laid out.
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
using XnnpackPool = std::unique_ptr<pthreadpool, PoolDeleter>;

// What went wrong inside XNNPACK, in `what`.
Status statusOf(xnn_status status, const char* what);

// Nodes that follow one another, and which of the graph's values have memory of the caller's. The external number of a
// value is its place in `inputs`, then in `outputs`.
struct Segment {
    std::span<const Node> nodes;
    std::vector<ValueId> inputs;   // read by these nodes and written before them
    std::vector<ValueId> outputs;  // written by these nodes; a value that is in neither list has memory of XNNPACK's
};

// A segment compiled for XNNPACK: its externals must be given buffers by xnn_setup_runtime before the first run.
struct CompiledSegment {
    // Static operands that the runtime reads while it runs; its copies of weights are its own.
    std::vector<std::unique_ptr<float[]>> constants;
    std::unique_ptr<xnn_runtime, RuntimeDeleter> runtime;
};

// Whether XNNPACK leaves a node's activation to a pass over its output: Gelu and GeluTanh, of which it has no form.
bool leavesActivation(Activation activation);

struct SegmentOptions {
    pthreadpool_t pool = nullptr;  // null: the calling thread; it must outlive the result
    // Called before each node with its place in the segment; returning false cancels. May be empty.
    std::function<bool(size_t)> goOn = {};
};

// The nodes' folded weights exist beside XNNPACK's copies until this returns. Errors name the node.
Result<CompiledSegment> compileForXnnpack(const Graph& graph, const Segment& segment, const WeightsSource& weights,
                                          const SegmentOptions& options);

}  // namespace dunlin
