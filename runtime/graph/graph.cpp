#include "runtime/graph/graph.h"

#include <cassert>

namespace dunlin {
namespace {

template <typename... Cases>
struct Overloaded : Cases... {
    using Cases::operator()...;
};
template <typename... Cases>
Overloaded(Cases...) -> Overloaded<Cases...>;

int convolvedSize(int size, int before, int after, int kernel, int stride) {
    return (size + before + after - kernel) / stride + 1;
}

// Shapes of the inputs, in the order of inputsOf().
Shape inferShape(const Op& op, const std::vector<Shape>& inputs) {
    const Shape& x = inputs[0];
    return std::visit(Overloaded{
                          [&](const Conv2d& conv) {
                              assert(x.c % conv.groups == 0 && conv.outChannels % conv.groups == 0);
                              const Padding& pad = conv.padding;
                              return Shape{x.n, convolvedSize(x.h, pad.top, pad.bottom, conv.kernelH, conv.strideH),
                                           convolvedSize(x.w, pad.left, pad.right, conv.kernelW, conv.strideW),
                                           conv.outChannels};
                          },
                          [&](const Linear& linear) {
                              return Shape{x.n, x.h, x.w, linear.outFeatures};
                          },
                          [&](const Add&) {
                              assert(inputs[1] == x);
                              return x;
                          },
                          [&](const Mul&) {
                              [[maybe_unused]] const Shape& gate = inputs[1];
                              assert(gate == x || gate == (Shape{x.n, 1, 1, x.c}));
                              return x;
                          },
                          [&](const GlobalAvgPool&) {
                              return Shape{x.n, 1, 1, x.c};
                          },
                          [&](const Activate&) { return x; },
                          [&](const Softmax&) { return x; },
                      },
                      op);
}

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
    static constexpr const char* kNames[] = {"Conv2d", "Linear", "Add", "Mul", "GlobalAvgPool", "Activate", "Softmax"};
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
                          [](const auto& unary) { return std::vector{unary.input}; },
                      },
                      op);
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
    }
}

int64_t multiplyAdds(const Graph& graph, const Node& node) {
    const Shape& out = graph.shape(node.output);
    if (const auto* conv = std::get_if<Conv2d>(&node.op)) {
        const int64_t perOutput = int64_t{conv->kernelH} * conv->kernelW * graph.shape(conv->input).c / conv->groups;
        return out.elementCount() * perOutput;
    }
    if (const auto* linear = std::get_if<Linear>(&node.op)) return out.elementCount() * graph.shape(linear->input).c;
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

}  // namespace dunlin
