#include "runtime/plan/fusion.h"

#include <algorithm>
#include <map>
#include <set>

namespace dunlin {
namespace {

class Fusion {
  public:
    Fusion(const Graph& graph, const std::vector<ValueId>& kept) : graph_(graph), kept_(kept) {
        users_.resize(graph.values().size());
        for (size_t i = 0; i < graph.nodes().size(); ++i) {
            for (ValueId input : inputsOf(graph.nodes()[i].op)) user(input).push_back(static_cast<int>(i));
        }
    }

    Result<std::vector<Step>> run() {
        for (size_t i = 0; i < graph_.nodes().size(); ++i) {
            if (absorbed_.contains(static_cast<int>(i))) continue;
            DUNLIN_TRY(visit(static_cast<int>(i)));
        }
        return std::move(steps_);
    }

  private:
    struct Gated {
        ValueId map, gate;
    };

    const Node& node(int index) const { return graph_.nodes()[static_cast<size_t>(index)]; }
    std::vector<int>& user(ValueId value) { return users_[static_cast<size_t>(value)]; }
    bool isKept(ValueId value) const { return value == graph_.output() || std::ranges::count(kept_, value) > 0; }
    // The only reader of a value that nobody else wants; -1 if there are several or none.
    int onlyUser(ValueId value) { return user(value).size() == 1 && !isKept(value) ? user(value)[0] : -1; }

    Status visit(int index) {
        const Op& op = node(index).op;
        if (std::holds_alternative<Conv2d>(op) || std::holds_alternative<Linear>(op)) return visitConvolution(index);
        if (std::holds_alternative<GlobalAvgPool>(op)) {
            if (visitSqueezeExcite(index)) return {};
            Step step;
            step.kind = Step::Kind::Pool;
            step.node = index;
            step.input = inputsOf(op)[0];
            step.output = node(index).output;
            steps_.push_back(step);
            return {};
        }
        return error(StatusCode::Unsupported, "%s: no kernel computes a %s that cannot be fused into a convolution",
                     node(index).name.c_str(), name(op));
    }

    Status visitConvolution(int index) {
        Step step;
        step.node = index;
        step.input = inputsOf(node(index).op)[0];
        step.output = node(index).output;
        if (const auto gated = gated_.find(step.input); gated != gated_.end()) {
            if (!isPointwise(node(index).op)) {
                return error(StatusCode::Unsupported,
                             "%s: a squeeze-excite product is read by something other than a "
                             "pointwise convolution",
                             node(index).name.c_str());
            }
            step.input = gated->second.map;
            step.gate = gated->second.gate;
        }
        fuseShortcut(step);
        steps_.push_back(step);
        return {};
    }

    // convolution -> Add, where the other operand is ready before the convolution.
    void fuseShortcut(Step& step) {
        const auto* conv = std::get_if<Conv2d>(&node(step.node).op);
        if (conv && isDepthwise(graph_, *conv)) return;
        const int adder = onlyUser(step.output);
        if (adder < 0) return;
        const auto* add = std::get_if<Add>(&node(adder).op);
        if (!add || add->activation != Activation::None || add->a == add->b) return;
        const ValueId other = add->a == step.output ? add->b : add->a;
        const int producer = graph_.values()[static_cast<size_t>(other)].producer;
        if (producer >= step.node || gated_.contains(other)) return;
        step.residual = other;
        step.output = node(adder).output;
        absorbed_.insert(adder);
    }

    // depthwise x -> mean -> 1x1 -> 1x1 -> Mul(x, .): the sums come from the depthwise step, the product is made where
    // it is read.
    bool visitSqueezeExcite(int pool) {
        const ValueId map = inputsOf(node(pool).op)[0];
        const auto producer = std::ranges::find_if(steps_, [&](const Step& step) { return step.output == map; });
        if (producer == steps_.end() || producer->kind != Step::Kind::Convolution) return false;
        const auto* depthwise = std::get_if<Conv2d>(&node(producer->node).op);
        if (!depthwise || !isDepthwise(graph_, *depthwise)) return false;

        const int reduce = onlyUser(node(pool).output);
        if (reduce < 0 || !isPointwise(node(reduce).op)) return false;
        const int expand = onlyUser(node(reduce).output);
        if (expand < 0 || !isPointwise(node(expand).op)) return false;
        const int product = onlyUser(node(expand).output);
        const auto* mul = product < 0 ? nullptr : std::get_if<Mul>(&node(product).op);
        if (!mul || mul->a != map || isKept(node(product).output)) return false;

        Step step;
        step.kind = Step::Kind::SqueezeExcite;
        step.node = expand;
        step.reduceNode = reduce;
        step.input = map;
        step.output = node(expand).output;
        producer->writesSums = true;
        steps_.push_back(step);
        gated_[node(product).output] = {map, step.output};
        for (int absorbed : {reduce, expand, product}) absorbed_.insert(absorbed);
        return true;
    }

    const Graph& graph_;
    const std::vector<ValueId>& kept_;
    std::vector<std::vector<int>> users_;  // by value: nodes that read it
    std::set<int> absorbed_;               // nodes that an earlier step computes
    std::map<ValueId, Gated> gated_;       // products that are never written
    std::vector<Step> steps_;
};

}  // namespace

bool isDepthwise(const Graph& graph, const Conv2d& conv) {
    return conv.groups > 1 && conv.groups == graph.shape(conv.input).c && conv.outChannels == conv.groups;
}

bool isPointwise(const Op& op) {
    if (std::holds_alternative<Linear>(op)) return true;
    const auto* conv = std::get_if<Conv2d>(&op);
    return conv && conv->groups == 1 && conv->kernelH == 1 && conv->kernelW == 1 && conv->strideH == 1 &&
           conv->strideW == 1 && conv->padding == Padding{};
}

Result<std::vector<Step>> fuse(const Graph& graph, const std::vector<ValueId>& kept) {
    return Fusion(graph, kept).run();
}

}  // namespace dunlin
