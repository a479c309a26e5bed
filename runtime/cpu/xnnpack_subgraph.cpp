#include "runtime/cpu/xnnpack_subgraph.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <type_traits>
#include <utility>

#include "runtime/weights/fold.h"

// XNNPACK deprecated its one-function-an-op interface in 2024 in favour of one that the distributions do not have yet.
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

namespace dunlin {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

struct Range {
    float low = -kInfinity, high = kInfinity;
};

// Activations that need no nodes of their own: XNNPACK applies those that only cut while it stores.
bool isFused(Activation activation) {
    return activation == Activation::None || activation == Activation::Relu || activation == Activation::Relu6 ||
           leavesActivation(activation);
}
Range rangeOf(Activation activation) {
    if (activation == Activation::Relu) return {0, kInfinity};
    if (activation == Activation::Relu6) return {0, 6};
    return {};
}

std::array<size_t, 4> dimensionsOf(const Shape& shape) {
    return {static_cast<size_t>(shape.n), static_cast<size_t>(shape.h), static_cast<size_t>(shape.w),
            static_cast<size_t>(shape.c)};
}

// [out][in / groups][y][x] to the order in which XNNPACK wants it: [out][y][x][in / groups] for a convolution. One
// filter after the other, in place: a second copy of every weight would leave holes in the heap.
std::vector<float> channelsLast(std::vector<float> weight, size_t outputs, size_t inputs, size_t area) {
    if (area == 1) return weight;
    std::vector<float> filter(inputs * area);
    for (size_t o = 0; o < outputs; ++o) {
        float* place = weight.data() + o * filter.size();
        std::copy_n(place, filter.size(), filter.data());
        for (size_t k = 0; k < area; ++k)
            for (size_t i = 0; i < inputs; ++i) place[k * inputs + i] = filter[i * area + k];
    }
    return weight;
}

// [out][1][y][x] to [y][x][out], for a depthwise convolution.
std::vector<float> filtersLast(const std::vector<float>& weight, size_t outputs, size_t area) {
    std::vector<float> result(weight.size());
    for (size_t o = 0; o < outputs; ++o)
        for (size_t k = 0; k < area; ++k) result[k * outputs + o] = weight[o * area + k];
    return result;
}

uint32_t unsignedOf(int number) {
    return static_cast<uint32_t>(number);
}

struct SubgraphDeleter {
    void operator()(xnn_subgraph_t subgraph) const { xnn_delete_subgraph(subgraph); }
};

// Appends XNNPACK's nodes and values to a subgraph. The first failure is kept, and what comes after it is skipped, so
// that a formula of many nodes reads as a formula.
class SubgraphWriter {
  public:
    SubgraphWriter(xnn_subgraph_t subgraph, CompiledSegment& compiled) : subgraph_(subgraph), compiled_(compiled) {}

    const Status& status() const { return status_; }

    // `data`: null for a value that the runtime computes. `external`: its number if the caller provides its memory.
    uint32_t value(std::span<const size_t> dimensions, const float* data, uint32_t external = XNN_INVALID_VALUE_ID,
                   uint32_t flags = 0) {
        uint32_t id = XNN_INVALID_VALUE_ID;
        if (status_.ok())
            check(xnn_define_tensor_value(subgraph_, xnn_datatype_fp32, dimensions.size(), dimensions.data(), data,
                                          external, flags, &id),
                  "a tensor");
        return id;
    }
    uint32_t map(const Shape& shape) { return value(dimensionsOf(shape), nullptr); }

    // Calls define(subgraph) unless something failed before.
    template <typename Define>
    void node(const char* what, Define define) {
        if (status_.ok()) check(define(subgraph_), what);
    }

    // A weight or bias: borrowed until the runtime is made.
    uint32_t weights(std::vector<float> values, std::span<const size_t> dimensions) {
        borrowed_.push_back(std::move(values));
        return value(dimensions, borrowed_.back().data());
    }

    // The activation of `x` into `y`, both of this shape, as nodes of their own.
    void activate(Activation activation, const Shape& shape, uint32_t x, uint32_t y);

  private:
    void check(xnn_status status, const char* what) {
        if (status != xnn_status_success) status_ = statusOf(status, what);
    }

    uint32_t constant(float number) {
        auto storage = std::make_unique<float[]>(1 + kXnnpackExtraFloats);
        storage[0] = number;
        compiled_.constants.push_back(std::move(storage));
        const size_t one = 1;
        return value({&one, 1}, compiled_.constants.back().get());
    }

    void multiply(uint32_t a, uint32_t b, uint32_t y) {
        node("a multiplication",
             [=](xnn_subgraph_t g) { return xnn_define_multiply2(g, -kInfinity, kInfinity, a, b, y, 0); });
    }
    void add(uint32_t a, uint32_t b, uint32_t y, Range range = {}) {
        node("an addition", [=](xnn_subgraph_t g) { return xnn_define_add2(g, range.low, range.high, a, b, y, 0); });
    }
    template <typename Unary>
    void unary(Unary define, uint32_t x, uint32_t y) {
        node("an elementwise function", [=](xnn_subgraph_t g) { return define(g, x, y, 0u); });
    }

    xnn_subgraph_t subgraph_;
    CompiledSegment& compiled_;
    std::vector<std::vector<float>> borrowed_;
    Status status_;
};

void SubgraphWriter::activate(Activation activation, const Shape& shape, uint32_t x, uint32_t y) {
    switch (activation) {
        case Activation::None:
        case Activation::Relu:
        case Activation::Relu6: {
            const Range range = rangeOf(activation);
            node("a clamp", [=](xnn_subgraph_t g) { return xnn_define_clamp(g, range.low, range.high, x, y, 0); });
            return;
        }
        case Activation::HardSwish:
            unary(xnn_define_hardswish, x, y);
            return;
        case Activation::Sigmoid:
            unary(xnn_define_sigmoid, x, y);
            return;
        case Activation::HardSigmoid: {
            const uint32_t sixth = map(shape);
            multiply(x, constant(1.0f / 6.0f), sixth);
            add(sixth, constant(0.5f), y, {0, 1});
            return;
        }
        case Activation::Silu: {
            const uint32_t gate = map(shape);
            unary(xnn_define_sigmoid, x, gate);
            multiply(x, gate, y);
            return;
        }
        case Activation::GeluTanh:
        case Activation::Gelu:
            status_ = error(StatusCode::Unsupported, "XNNPACK has no %s", name(activation));
            return;
    }
}

// One op of the graph after the other, as XNNPACK's nodes.
class GraphCompiler {
  public:
    GraphCompiler(const Graph& graph, const WeightsSource& weights, SubgraphWriter& writer)
        : graph_(graph), weights_(weights), writer_(writer), ids_(graph.values().size(), XNN_INVALID_VALUE_ID) {}

    void defineExternals(const Segment& segment) {
        uint32_t external = 0;
        const auto define = [&](ValueId value, uint32_t flags) {
            ids_[static_cast<size_t>(value)] =
                writer_.value(dimensionsOf(graph_.shape(value)), nullptr, external++, flags);
        };
        for (ValueId value : segment.inputs) define(value, XNN_VALUE_FLAG_EXTERNAL_INPUT);
        for (ValueId value : segment.outputs) define(value, XNN_VALUE_FLAG_EXTERNAL_OUTPUT);
    }

    Status compile(const Node& node) {
        uint32_t& output = ids_[static_cast<size_t>(node.output)];
        if (output == XNN_INVALID_VALUE_ID) output = writer_.map(graph_.shape(node.output));
        DUNLIN_TRY(std::visit([&](const auto& op) { return define(node, op); }, node.op));
        return writer_.status();
    }

  private:
    uint32_t id(ValueId value) const { return ids_[static_cast<size_t>(value)]; }

    Status define(const Node& node, const Conv2d& conv);
    Status define(const Node& node, const Linear& linear);
    Status define(const Node& node, const Add& add) {
        activated(node, add.activation, [&](Range range, uint32_t output) {
            writer_.node("an addition", [&](xnn_subgraph_t g) {
                return xnn_define_add2(g, range.low, range.high, id(add.a), id(add.b), output, 0);
            });
        });
        return {};
    }
    Status define(const Node& node, const Mul& mul) {
        writer_.node("a multiplication", [&](xnn_subgraph_t g) {
            return xnn_define_multiply2(g, -kInfinity, kInfinity, id(mul.a), id(mul.b), id(node.output), 0);
        });
        return {};
    }
    Status define(const Node& node, const GlobalAvgPool& pool) {
#ifdef XNN_FLAG_KEEP_DIMS
        constexpr uint32_t kFlags = XNN_FLAG_KEEP_DIMS;  // newer versions drop the two sides of length 1 without it
#else
        constexpr uint32_t kFlags = 0;
#endif
        writer_.node("a pooling", [&](xnn_subgraph_t g) {
            return xnn_define_global_average_pooling_2d(g, -kInfinity, kInfinity, id(pool.input), id(node.output),
                                                        kFlags);
        });
        return {};
    }
    Status define(const Node& node, const Activate& op) {
        writer_.activate(op.activation, graph_.shape(node.output), id(op.input), id(node.output));
        return {};
    }
    Status define(const Node& node, const Softmax& softmax) {
        writer_.node("a softmax",
                     [&](xnn_subgraph_t g) { return xnn_define_softmax(g, id(softmax.input), id(node.output), 0); });
        return {};
    }

    Status define(const Node& node, const MaxPool& pool) {
        writer_.node("a pooling", [&](xnn_subgraph_t g) {
            return xnn_define_max_pooling_2d(g, unsignedOf(pool.padding.top), unsignedOf(pool.padding.right),
                                             unsignedOf(pool.padding.bottom), unsignedOf(pool.padding.left),
                                             unsignedOf(pool.kernelH), unsignedOf(pool.kernelW),
                                             unsignedOf(pool.strideH), unsignedOf(pool.strideW), 1, 1, -kInfinity,
                                             kInfinity, id(pool.input), id(node.output), 0);
        });
        return {};
    }
    // Without flags XNNPACK's pixel centres are at one half, as the op's are.
    Status define(const Node& node, const Resize& resize) {
        const uint32_t flags = resize.alignCorners ? XNN_FLAG_ALIGN_CORNERS : 0;
        writer_.node("a resize", [&](xnn_subgraph_t g) {
            return xnn_define_static_resize_bilinear_2d(g, static_cast<size_t>(resize.height),
                                                        static_cast<size_t>(resize.width), id(resize.input),
                                                        id(node.output), flags);
        });
        return {};
    }

    template <typename Other>
    Status define(const Node&, const Other& op) {
        return error(StatusCode::Unsupported, "XNNPACK has no %s", name(Op(op)));
    }

    // Calls define(range, output) so that the node's activation is applied to what it defines: fused where it only
    // cuts, else through a map in between.
    template <typename Define>
    void activated(const Node& node, Activation activation, Define define) {
        if (isFused(activation)) return define(rangeOf(activation), id(node.output));
        const Shape& shape = graph_.shape(node.output);
        const uint32_t before = writer_.map(shape);
        define(Range{}, before);
        writer_.activate(activation, shape, before, id(node.output));
    }

    // As `activated`, for ops with weights: a hard-sigmoid is max(0, min(1, x / 6 + 1 / 2)), and weights can take the
    // division and the shift.
    template <typename Define>
    void activated(const Node& node, Activation activation, FoldedWeights& weights, Define define) {
        if (activation != Activation::HardSigmoid) return activated(node, activation, define);
        for (float& weight : weights.weight) weight /= 6;
        for (float& bias : weights.bias) bias = bias / 6 + 0.5f;
        define(Range{0, 1}, id(node.output));
    }

    const Graph& graph_;
    const WeightsSource& weights_;
    SubgraphWriter& writer_;
    std::vector<uint32_t> ids_;  // XNNPACK's number of each of the graph's values
};

Status GraphCompiler::define(const Node& node, const Conv2d& conv) {
    DUNLIN_ASSIGN(FoldedWeights folded, foldWeights(graph_, node, weights_));
    const auto kernelH = static_cast<uint32_t>(conv.kernelH), kernelW = static_cast<uint32_t>(conv.kernelW);
    const auto strideH = static_cast<uint32_t>(conv.strideH), strideW = static_cast<uint32_t>(conv.strideW);
    const auto top = static_cast<uint32_t>(conv.padding.top), left = static_cast<uint32_t>(conv.padding.left);
    const auto bottom = static_cast<uint32_t>(conv.padding.bottom), right = static_cast<uint32_t>(conv.padding.right);
    const auto groups = static_cast<uint32_t>(conv.groups);
    const auto inputs = static_cast<size_t>(graph_.shape(conv.input).c),
               outputs = static_cast<size_t>(conv.outChannels);
    const size_t groupInputs = inputs / groups, area = size_t{kernelH} * kernelW;
    const bool isDepthwise = groups > 1 && groupInputs == 1;

    activated(node, conv.activation, folded, [&](Range range, uint32_t output) {
        const uint32_t bias = writer_.weights(std::move(folded.bias), std::array{outputs});
        if (isDepthwise) {
            const uint32_t filter = writer_.weights(filtersLast(folded.weight, outputs, area),
                                                    std::array<size_t, 4>{1, kernelH, kernelW, outputs});
            writer_.node("a depthwise convolution", [&](xnn_subgraph_t g) {
                return xnn_define_depthwise_convolution_2d(g, top, right, bottom, left, kernelH, kernelW, strideH,
                                                           strideW, 1, 1, static_cast<uint32_t>(outputs / inputs),
                                                           inputs, range.low, range.high, id(conv.input), filter, bias,
                                                           output, 0);
            });
            return;
        }
        const uint32_t filter = writer_.weights(channelsLast(std::move(folded.weight), outputs, groupInputs, area),
                                                std::array<size_t, 4>{outputs, kernelH, kernelW, groupInputs});
        writer_.node("a convolution", [&](xnn_subgraph_t g) {
            return xnn_define_convolution_2d(g, top, right, bottom, left, kernelH, kernelW, strideH, strideW, 1, 1,
                                             groups, groupInputs, outputs / groups, range.low, range.high,
                                             id(conv.input), filter, bias, output, 0);
        });
    });
    return {};
}

Status GraphCompiler::define(const Node& node, const Linear& linear) {
    DUNLIN_ASSIGN(FoldedWeights folded, foldWeights(graph_, node, weights_));
    const auto inputs = static_cast<size_t>(graph_.shape(linear.input).c);
    const auto outputs = static_cast<size_t>(linear.outFeatures);
    activated(node, linear.activation, folded, [&](Range range, uint32_t output) {
        const uint32_t bias = writer_.weights(std::move(folded.bias), std::array{outputs});
        const uint32_t filter = writer_.weights(std::move(folded.weight), std::array{outputs, inputs});
        writer_.node("a linear layer", [&](xnn_subgraph_t g) {
            return xnn_define_fully_connected(g, range.low, range.high, id(linear.input), filter, bias, output, 0);
        });
    });
    return {};
}

}  // namespace

Status statusOf(xnn_status status, const char* what) {
    switch (status) {
        case xnn_status_success:
            return {};
        case xnn_status_out_of_memory:
            return error(StatusCode::OutOfHostMemory, "the machine's memory is used up: XNNPACK found none for %s",
                         what);
        case xnn_status_unsupported_parameter:
        case xnn_status_unsupported_hardware:
            return error(StatusCode::Unsupported,
                         "XNNPACK does not support %s of this kind on this processor (status %d)", what,
                         static_cast<int>(status));
        default:
            return error(StatusCode::DeviceError, "XNNPACK refused %s (status %d)", what, static_cast<int>(status));
    }
}

bool leavesActivation(Activation activation) {
    return activation == Activation::Gelu || activation == Activation::GeluTanh;
}

Result<CompiledSegment> compileForXnnpack(const Graph& graph, const Segment& segment, const WeightsSource& weights,
                                          const SegmentOptions& options) {
    xnn_subgraph_t created = nullptr;
    const auto externals = static_cast<uint32_t>(segment.inputs.size() + segment.outputs.size());
    DUNLIN_TRY(statusOf(xnn_create_subgraph(externals, 0, &created), "a subgraph"));
    const std::unique_ptr<xnn_subgraph, SubgraphDeleter> subgraph(created);

    CompiledSegment compiled;
    SubgraphWriter writer(subgraph.get(), compiled);
    GraphCompiler compiler(graph, weights, writer);
    compiler.defineExternals(segment);
    for (size_t index = 0; index < segment.nodes.size(); ++index) {
        if (options.goOn && !options.goOn(index))
            return Status(StatusCode::Cancelled, "the caller cancelled the creation of the session");
        const Node& node = segment.nodes[index];
        if (const Status status = compiler.compile(node); !status.ok()) return status.withContext(node.name);
    }

    uint32_t flags = 0;
#ifdef XNN_FLAG_YIELD_WORKERS
    // Without it the pool's threads spin for milliseconds after every run, on cores that the application may need.
    flags |= XNN_FLAG_YIELD_WORKERS;
#endif
    xnn_runtime_t runtime = nullptr;
    DUNLIN_TRY(statusOf(xnn_create_runtime_v2(subgraph.get(), options.pool, flags, &runtime), "a runtime"));
    compiled.runtime.reset(runtime);
    return compiled;
}

}  // namespace dunlin
