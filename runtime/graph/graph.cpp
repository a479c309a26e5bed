#include "runtime/graph/graph.h"

#include <algorithm>
#include <cassert>

namespace dunlin {
namespace {

template <typename... Cases>
struct Overloaded : Cases... {
    using Cases::operator()...;
};
template <typename... Cases>
Overloaded(Cases...) -> Overloaded<Cases...>;

// The output's shape of each op; inputs in the order of inputsOf().
struct ShapeOf {
    std::span<const Shape> inputs;
    const Shape& x() const { return inputs[0]; }

    Shape operator()(const Conv2d& conv) const {
        assert(x().c % conv.groups == 0 && conv.outChannels % conv.groups == 0);
        return window(conv, conv.outChannels);
    }
    Shape operator()(const Linear& linear) const { return {x().n, x().h, x().w, linear.outFeatures}; }
    Shape operator()(const Add&) const {
        assert(inputs[1] == x());
        return x();
    }
    Shape operator()(const Mul&) const {
        assert(inputs[1] == x() || inputs[1] == (Shape{x().n, 1, 1, x().c}));
        return x();
    }
    Shape operator()(const GlobalAvgPool& pool) const {
        assert(pool.begin >= 0 && pool.count >= 0 &&
               int64_t{pool.begin} + std::max(pool.count, 1) <= int64_t{x().h} * x().w);
        static_cast<void>(pool);
        return {x().n, 1, 1, x().c};
    }
    Shape operator()(const Activate&) const { return x(); }
    Shape operator()(const Softmax&) const { return x(); }
    Shape operator()(const LayerNorm&) const { return x(); }
    Shape operator()(const Attention& attention) const {
        assert(x().c % (3 * attention.heads) == 0);
        assert(x().h % attention.patchH == 0 && x().w % attention.patchW == 0);
        static_cast<void>(attention);
        return {x().n, x().h, x().w, x().c / 3};
    }
    Shape operator()(const SeparableAttention& attention) const {
        assert(x().c % 2 == 1 && x().h % attention.patchH == 0 && x().w % attention.patchW == 0);
        static_cast<void>(attention);
        return {x().n, x().h, x().w, (x().c - 1) / 2};
    }
    Shape operator()(const Concat&) const {
        assert(inputs[1].n == x().n && inputs[1].h == x().h && inputs[1].w == x().w);
        return {x().n, x().h, x().w, x().c + inputs[1].c};
    }
    Shape operator()(const Resize& resize) const { return {x().n, resize.height, resize.width, x().c}; }
    Shape operator()(const MaxPool& pool) const { return window(pool, x().c); }
    Shape operator()(const SpaceToDepth& op) const {
        return {x().n, divideUp(x().h, op.block), divideUp(x().w, op.block), x().c * op.block * op.block};
    }
    Shape operator()(const EmbedTokens& tokens) const { return {x().n, 1, tokens.prefix() + x().h * x().w, x().c}; }

  private:
    template <typename Window>
    Shape window(const Window& op, int channels) const {
        const Padding& pad = op.padding;
        const int height = x().h + pad.top + pad.bottom - op.kernelH, width = x().w + pad.left + pad.right - op.kernelW;
        assert(height >= 0 && width >= 0);
        return {x().n, height / op.strideH + 1, width / op.strideW + 1, channels};
    }
};

int64_t elementCount(const std::vector<int64_t>& shape) {
    int64_t count = 1;
    for (int64_t extent : shape) count *= extent;
    return count;
}

}  // namespace

const char* name(Activation activation) {
    switch (activation) {
        case Activation::None:
            return "none";
        case Activation::Relu:
            return "relu";
        case Activation::Relu6:
            return "relu6";
        case Activation::HardSwish:
            return "hard-swish";
        case Activation::HardSigmoid:
            return "hard-sigmoid";
        case Activation::Silu:
            return "silu";
        case Activation::Sigmoid:
            return "sigmoid";
        case Activation::Gelu:
            return "gelu";
        case Activation::GeluTanh:
            return "gelu-tanh";
    }
    return "unknown";
}

const char* name(const Op& op) {
    static constexpr const char* kNames[] = {"Conv2d",   "Linear",  "Add",       "Mul",          "GlobalAvgPool",
                                             "Activate", "Softmax", "LayerNorm", "Attention",    "SeparableAttention",
                                             "Concat",   "Resize",  "MaxPool",   "SpaceToDepth", "EmbedTokens"};
    static_assert(std::size(kNames) == std::variant_size_v<Op>);
    return kNames[op.index()];
}

std::vector<ValueId> inputsOf(const Op& op) {
    return std::visit(Overloaded{
                          [](const Add& add) {
                              return std::vector{add.a, add.b};
                          },
                          [](const Mul& mul) {
                              return std::vector{mul.a, mul.b};
                          },
                          [](const Concat& concat) {
                              return std::vector{concat.a, concat.b};
                          },
                          [](const auto& unary) { return std::vector{unary.input}; },
                      },
                      op);
}

Shape inferShape(const Op& op, std::span<const Shape> inputs) {
    return std::visit(ShapeOf{inputs}, op);
}

Graph::Graph(const Shape& input) {
    values_.push_back({input, -1});
}

Result<ValueId> Graph::findTap(std::string_view name) const {
    if (const auto found = taps_.find(name); found != taps_.end()) return found->second;
    const std::string asked(name);
    if (const auto reason = untappable_.find(name); reason != untappable_.end()) {
        return error(StatusCode::UnknownName, "'%s' cannot be tapped: %s", asked.c_str(), reason->second.c_str());
    }
    std::string known;
    for (const auto& [tapName, value] : taps_) known += (known.empty() ? "" : ", ") + tapName;
    return error(StatusCode::UnknownName, "the network has no output '%s'; it has %s", asked.c_str(), known.c_str());
}

ValueId Graph::add(std::string name, Op op) {
    std::vector<Shape> inputShapes;
    for (ValueId input : inputsOf(op)) inputShapes.push_back(shape(input));
    const auto output = static_cast<ValueId>(values_.size());
    values_.push_back({inferShape(op, inputShapes), static_cast<int>(nodes_.size())});
    recordParameters(op);
    nodes_.push_back({std::move(op), output, std::move(name)});
    return output;
}

void Graph::tap(std::string name, ValueId value) {
    taps_.insert_or_assign(std::move(name), value);
}

void Graph::recordParameters(const Op& op) {
    const auto record = [this](const Parameters& parameters, std::vector<int64_t> weightShape) {
        const int64_t outputs = weightShape[0];
        parameters_.push_back({parameters.weight, std::move(weightShape), true});
        if (!parameters.bias.empty()) parameters_.push_back({parameters.bias, {outputs}, true});
        if (!parameters.scale.empty()) parameters_.push_back({parameters.scale, {outputs}, true});
        if (!parameters.norm) return;
        parameters_.push_back({parameters.norm->name + ".weight", {outputs}, true});
        parameters_.push_back({parameters.norm->name + ".bias", {outputs}, true});
        parameters_.push_back({parameters.norm->name + ".running_mean", {outputs}, false});
        parameters_.push_back({parameters.norm->name + ".running_var", {outputs}, false});
    };
    if (const auto* conv = std::get_if<Conv2d>(&op)) {
        record(conv->parameters,
               {conv->outChannels, shape(conv->input).c / conv->groups, conv->kernelH, conv->kernelW});
    } else if (const auto* linear = std::get_if<Linear>(&op)) {
        record(linear->parameters, {linear->outFeatures, shape(linear->input).c});
    } else if (const auto* norm = std::get_if<LayerNorm>(&op)) {
        record(norm->parameters, {shape(norm->input).c});
    } else if (const auto* attention = std::get_if<Attention>(&op); attention && attention->windows) {
        const AttentionWindows& windows = *attention->windows;
        const int64_t rows = int64_t{2 * windows.height - 1} * (2 * windows.width - 1);
        parameters_.push_back({windows.bias, {rows, attention->heads}, true});
    } else if (const auto* tokens = std::get_if<EmbedTokens>(&op)) {
        const int64_t channels = shape(tokens->input).c;
        const int64_t places = int64_t{tokens->grid} * tokens->grid;
        if (tokens->prefix() > 0) parameters_.push_back({tokens->classToken, {1, 1, channels}, true});
        parameters_.push_back({tokens->positions, {1, tokens->prefix() + places, channels}, true});
    }
}

int64_t multiplyAdds(const Graph& graph, const Node& node) {
    const Shape& out = graph.shape(node.output);
    if (const auto* conv = std::get_if<Conv2d>(&node.op)) {
        const int64_t perOutput = int64_t{conv->kernelH} * conv->kernelW * graph.shape(conv->input).c / conv->groups;
        return out.elementCount() * perOutput;
    }
    if (const auto* linear = std::get_if<Linear>(&node.op)) return out.elementCount() * graph.shape(linear->input).c;
    if (const auto* attention = std::get_if<Attention>(&node.op)) {
        // Every query meets every key of its window or its place in the patches, once for the scores and once for the
        // values.
        const int64_t keys = attention->windows ? int64_t{attention->windows->height} * attention->windows->width
                                                : int64_t{out.h / attention->patchH} * (out.w / attention->patchW);
        return 2 * out.elementCount() * keys;
    }
    if (std::holds_alternative<SeparableAttention>(node.op)) return 2 * out.elementCount();
    return 0;
}

int64_t multiplyAdds(const Graph& graph) {
    int64_t total = 0;
    for (const Node& node : graph.nodes()) total += multiplyAdds(graph, node);
    return total;
}

int64_t parameterCount(const Graph& graph) {
    int64_t total = 0;
    for (const ParameterTensor& tensor : graph.parameters()) {
        if (tensor.trainable) total += elementCount(tensor.shape);
    }
    return total;
}

uint64_t parameterBytes(const Graph& graph) {
    uint64_t elements = 0;
    for (const ParameterTensor& tensor : graph.parameters())
        elements += static_cast<uint64_t>(elementCount(tensor.shape));
    return elements * sizeof(float);
}

}  // namespace dunlin
