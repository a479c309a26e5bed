#include "tools/dunlin/network_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <type_traits>
#include <variant>

#include "tools/dunlin/output.h"

namespace dunlin::cli {
namespace {

std::string withActivation(std::string text, Activation activation) {
    return activation == Activation::None ? text : text + ", " + name(activation);
}

std::string padding(const Padding& padding) {
    if (padding == Padding{}) return "";
    const bool symmetric =
        padding.top == padding.bottom && padding.left == padding.right && padding.top == padding.left;
    if (symmetric) return fmt::format(", padding {}", padding.top);
    return fmt::format(", padding {}+{} x {}+{}", padding.top, padding.bottom, padding.left, padding.right);
}

// What distinguishes this op from others of its kind.
struct Describe {
    const Graph& graph;

    std::string operator()(const Conv2d& conv) const {
        const int channels = graph.shape(conv.input).c;
        const bool depthwise = conv.groups > 1 && conv.groups == channels;
        std::string text = fmt::format("{}x{}", conv.kernelH, conv.kernelW);
        if (conv.strideH != 1 || conv.strideW != 1) {
            text += conv.strideH == conv.strideW ? fmt::format(" / {}", conv.strideH)
                                                 : fmt::format(" / {}x{}", conv.strideH, conv.strideW);
        }
        text += padding(conv.padding);
        if (depthwise) text += ", depthwise";
        if (!depthwise && conv.groups > 1) text += fmt::format(", {} groups", conv.groups);
        return withActivation(text, conv.activation);
    }
    std::string operator()(const Linear& linear) const { return withActivation("", linear.activation); }
    std::string operator()(const Add& add) const {
        return withActivation(fmt::format("{} + {}", producer(add.a), producer(add.b)), add.activation);
    }
    std::string operator()(const Mul& mul) const { return fmt::format("{} * {}", producer(mul.a), producer(mul.b)); }
    std::string operator()(const Activate& activate) const { return name(activate.activation); }
    template <typename Other>
    std::string operator()(const Other&) const {
        return "";
    }

    std::string producer(ValueId value) const {
        const int node = graph.producer(value);
        return node < 0 ? "input" : graph.nodes()[static_cast<size_t>(node)].name;
    }
};

struct Use {
    size_t first = SIZE_MAX, last = 0;
};

std::vector<Use> usesOf(const Program& program) {
    std::vector<Use> uses(program.tensors.size());
    for (size_t i = 0; i < program.dispatches.size(); ++i) {
        for (const Binding& binding : program.dispatches[i].bindings) {
            if (binding.tensor < 0) continue;
            Use& use = uses[static_cast<size_t>(binding.tensor)];
            use.first = std::min(use.first, i);
            use.last = i;
        }
    }
    return uses;
}

}  // namespace

std::string graphText(const Graph& graph) {
    Table table(
        {{"#", Table::Align::Right}, {"module"}, {"op"}, {"output"}, {"multiply-adds", Table::Align::Right}, {""}});
    for (size_t i = 0; i < graph.nodes().size(); ++i) {
        const Node& node = graph.nodes()[i];
        const auto macs = static_cast<uint64_t>(multiplyAdds(graph, node));
        std::string detail = std::visit(Describe{graph}, node.op);
        if (detail.starts_with(", ")) detail.erase(0, 2);
        table.addRow({std::to_string(i), node.name, name(node.op), describe(graph.shape(node.output)),
                      macs ? formatCount(macs) : "", detail});
    }
    std::string text = table.text() + "\ntaps:";
    for (const auto& [tap, value] : graph.taps()) text += " " + tap;
    return text + "\n";
}

std::string planText(const Program& program, const MemoryPlan& plan, const std::vector<bool>& barrierBefore) {
    const std::vector<Use> uses = usesOf(program);
    Table table(
        {{"tensor"}, {"offset", Table::Align::Right}, {"bytes", Table::Align::Right}, {"shape"}, {"dispatches"}});
    for (size_t i = 0; i < program.tensors.size(); ++i) {
        const Tensor& tensor = program.tensors[i];
        if (tensor.storage != Storage::Arena || uses[i].first == SIZE_MAX) continue;
        table.addRow({tensor.name, std::to_string(plan.offsets[i]), std::to_string(tensor.sizeBytes),
                      tensor.shape == Shape{} ? "scratch" : describe(tensor.shape),
                      fmt::format("{} to {}", uses[i].first, uses[i].last)});
    }
    std::string text = table.text() + "\nbarriers before dispatches:";
    for (size_t i = 0; i < barrierBefore.size(); ++i) {
        if (barrierBefore[i]) text += fmt::format(" {}", i);
    }
    return text + "\n";
}

}  // namespace dunlin::cli
