#include "runtime/plan/fusion.h"

#include <algorithm>
#include <map>
#include <set>

#include "runtime/plan/stored_layout.h"

namespace dunlin {
namespace {

class Fusion {
  public:
    Fusion(const Graph& graph, const std::vector<ValueId>& kept) : graph_(graph), kept_(kept) {
        users_.resize(graph.values().size());
        for (size_t i = 0; i < graph.nodes().size(); ++i) {
            for (ValueId input : inputsOf(graph.nodes()[i].op)) user(input).push_back(static_cast<int>(i));
        }
        written_.insert(graph.input());
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

    bool isPointwiseConvolution(int index) const {
        return std::holds_alternative<Conv2d>(node(index).op) && isPointwise(node(index).op);
    }

    Status visit(int index) {
        const Op& op = node(index).op;
        if (std::holds_alternative<Conv2d>(op) || std::holds_alternative<Linear>(op)) return visitConvolution(index);
        if (std::holds_alternative<GlobalAvgPool>(op)) {
            if (visitSqueezeExcite(index)) return {};
            return emitAlone(Step::Kind::Pool, index);
        }
        if (std::holds_alternative<LayerNorm>(op)) return visitLayerNorm(index);
        if (std::holds_alternative<Attention>(op)) return emitAlone(Step::Kind::Attention, index);
        if (std::holds_alternative<SeparableAttention>(op)) return emitAlone(Step::Kind::SeparableAttention, index);
        if (std::holds_alternative<EmbedTokens>(op)) return emitAlone(Step::Kind::EmbedTokens, index);
        if (std::holds_alternative<Resize>(op)) return emitAlone(Step::Kind::Resize, index);
        if (std::holds_alternative<MaxPool>(op)) return emitAlone(Step::Kind::MaxPool, index);
        // Read where they are needed and never written.
        const bool isVirtual = std::holds_alternative<Concat>(op) || std::holds_alternative<SpaceToDepth>(op);
        if (isVirtual && !isKept(node(index).output)) return {};
        return error(StatusCode::Unsupported, "%s: no kernel computes a %s that cannot be fused into a convolution",
                     node(index).name.c_str(), name(op));
    }

    Status emit(const Step& step) {
        for (ValueId value : {step.input, step.residual, step.second}) {
            if (value == kNoValue || written_.contains(value)) continue;
            const int producer = graph_.producer(value);
            return error(StatusCode::Unsupported, "%s reads %s, which no kernel writes by itself (a %s)",
                         node(step.node).name.c_str(), node(producer).name.c_str(), name(node(producer).op));
        }
        DUNLIN_TRY(checkLayout(step));
        if (step.output != kNoValue) written_.insert(step.output);
        steps_.push_back(step);
        return {};
    }

    // Padding inside a value's channels (stored_layout.h) means something to attention and to dense layers only.
    Status checkLayout(const Step& step) const {
        const auto isPadded = [&](ValueId value) {
            return value != kNoValue && storedShape(graph_, value).c != graph_.shape(value).c;
        };
        const auto* conv = std::get_if<Conv2d>(&node(step.node).op);
        const bool isDense = step.kind == Step::Kind::Convolution && step.normNode < 0 && step.second == kNoValue &&
                             !(conv && conv->groups != 1);
        const bool isAttention = step.kind == Step::Kind::Attention || step.kind == Step::Kind::SeparableAttention;
        const bool isTapped = isPadded(step.output) && isKept(step.output);
        const bool isMisread =
            isPadded(step.residual) || isPadded(step.second) || (isPadded(step.input) && !isDense && !isAttention);
        if (!isTapped && !isMisread) return {};
        return error(StatusCode::Unsupported,
                     "%s: attention's heads are padded to multiples of %d channels there, which %s",
                     node(step.node).name.c_str(), kChannelGroup,
                     isTapped ? "an output cannot have" : "only linear layers and convolutions can read");
    }

    Status emitAlone(Step::Kind kind, int index) {
        Step step;
        step.kind = kind;
        step.node = index;
        step.input = inputsOf(node(index).op)[0];
        step.output = node(index).output;
        return emit(step);
    }

    // Pointwise layers compute it themselves, from the moments of each pixel as they read it, or of whole images.
    Status visitLayerNorm(int index) {
        const auto& norm = std::get<LayerNorm>(node(index).op);
        const auto folds = [&](int reader) { return foldedNorm(graph_, node(reader).op) == index; };
        if (norm.over == LayerNorm::Over::Image) {
            Step moments;
            moments.kind = Step::Kind::Moments;
            moments.node = index;
            moments.input = norm.input;
            DUNLIN_TRY(emit(moments));
        }
        if (std::ranges::all_of(user(node(index).output), folds) && !isKept(node(index).output)) return {};
        return emitAlone(Step::Kind::LayerNorm, index);
    }

    Status visitConvolution(int index) {
        Step step;
        step.node = index;
        step.input = inputsOf(node(index).op)[0];
        step.output = node(index).output;
        if (const auto* conv = std::get_if<Conv2d>(&node(index).op)) step.activation = conv->activation;
        if (const auto* linear = std::get_if<Linear>(&node(index).op)) step.activation = linear->activation;
        DUNLIN_TRY(fuseInput(step));
        if (step.second == kNoValue) fuseShortcut(step);
        return emit(step);
    }

    // What is computed as the layer reads it.
    Status fuseInput(Step& step) {
        const Op& op = node(step.node).op;
        step.normNode = foldedNorm(graph_, op);
        if (step.normNode >= 0) {
            step.input = std::get<LayerNorm>(node(step.normNode).op).input;
            if (const SpaceToDepth* merge = mergedPatches(graph_, op)) {
                step.input = merge->input;
                step.mergedBlock = merge->block;
            }
        } else if (const auto gated = gated_.find(step.input); gated != gated_.end()) {
            if (!isPointwise(op)) {
                return error(StatusCode::Unsupported,
                             "%s: a squeeze-excite product is read by something other than a pointwise convolution",
                             node(step.node).name.c_str());
            }
            step.input = gated->second.map;
            step.gate = gated->second.gate;
        } else if (const auto* concat = graph_.producerAs<Concat>(step.input)) {
            const auto* conv = std::get_if<Conv2d>(&op);
            if (!conv || conv->groups != 1) {
                return error(StatusCode::Unsupported,
                             "%s: a concatenation is read by something other than a dense convolution",
                             node(step.node).name.c_str());
            }
            step.input = concat->a;
            step.second = concat->b;
        }
        return {};
    }

    // convolution -> Add, where the other operand is ready before the convolution.
    void fuseShortcut(Step& step) {
        const auto* conv = std::get_if<Conv2d>(&node(step.node).op);
        if (conv && isDepthwise(graph_, *conv)) return;
        const int adder = onlyUser(step.output);
        if (adder < 0) return;
        const auto* add = std::get_if<Add>(&node(adder).op);
        if (!add || add->a == add->b) return;
        // One activation is left in the kernel.
        if (add->activation != Activation::None && step.activation != Activation::None) return;
        const ValueId other = add->a == step.output ? add->b : add->a;
        if (!written_.contains(other)) return;
        step.residual = other;
        step.output = node(adder).output;
        if (add->activation != Activation::None) {
            step.residualBeforeActivation = true;
            step.activation = add->activation;
        }
        absorbed_.insert(adder);
    }

    // depthwise x -> mean -> 1x1 -> 1x1 -> Mul(x, .): the sums come from the depthwise step, the product is made where
    // it is read.
    bool visitSqueezeExcite(int pool) {
        const auto& mean = std::get<GlobalAvgPool>(node(pool).op);
        if (mean.begin != 0 || mean.count != 0) return false;
        const ValueId map = mean.input;
        const auto producer = std::ranges::find_if(steps_, [&](const Step& step) { return step.output == map; });
        if (producer == steps_.end() || producer->kind != Step::Kind::Convolution) return false;
        const auto* depthwise = std::get_if<Conv2d>(&node(producer->node).op);
        if (!depthwise || !isDepthwise(graph_, *depthwise)) return false;

        const int reduce = onlyUser(node(pool).output);
        if (reduce < 0 || !isPointwiseConvolution(reduce)) return false;
        const int expand = onlyUser(node(reduce).output);
        if (expand < 0 || !isPointwiseConvolution(expand)) return false;
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
    std::set<ValueId> written_;            // values that steps so far write
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

int foldedNorm(const Graph& graph, const Op& op) {
    if (!isPointwise(op)) return -1;
    const ValueId input = inputsOf(op)[0];
    return graph.producerAs<LayerNorm>(input) ? graph.producer(input) : -1;
}

const SpaceToDepth* mergedPatches(const Graph& graph, const Op& op) {
    if (!std::holds_alternative<Linear>(op)) return nullptr;
    const auto* norm = graph.producerAs<LayerNorm>(inputsOf(op)[0]);
    if (!norm || norm->over != LayerNorm::Over::Pixel) return nullptr;
    return graph.producerAs<SpaceToDepth>(norm->input);
}

Result<std::vector<Step>> fuse(const Graph& graph, const std::vector<ValueId>& kept) {
    return Fusion(graph, kept).run();
}

}  // namespace dunlin
