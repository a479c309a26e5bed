#include "runtime/plan/block_fusion.h"

#include <algorithm>
#include <map>
#include <optional>

namespace dunlin {
namespace {

class BlockFusion {
  public:
    BlockFusion(const Graph& graph, std::vector<Step> steps, const std::vector<ValueId>& kept)
        : graph_(graph), steps_(std::move(steps)) {
        for (const Step& step : steps_) {
            for (ValueId value : {step.input, step.gate, step.residual, step.second}) ++readers_[value];
        }
        for (ValueId value : kept) ++readers_[value];
        ++readers_[graph.output()];
    }

    std::vector<Step> run() {
        std::vector<Step> result;
        for (size_t i = 0; i < steps_.size();) {
            Step joined = joinedAt(i);
            i += std::max<size_t>(joined.parts.size(), 1);
            result.push_back(std::move(joined));
        }
        return result;
    }

  private:
    const Op& opOf(const Step& step) const { return graph_.nodes()[static_cast<size_t>(step.node)].op; }

    // A layer that reads one map as it is.
    static bool isPlain(const Step& step) {
        return step.kind == Step::Kind::Convolution && step.gate == kNoValue && step.normNode < 0 &&
               step.second == kNoValue && step.mergedBlock == 0;
    }
    bool isDepthwiseStep(const Step& step) const {
        const auto* conv = std::get_if<Conv2d>(&opOf(step));
        return isPlain(step) && conv && isDepthwise(graph_, *conv);
    }
    bool isDenseStep(const Step& step) const {
        const auto* conv = std::get_if<Conv2d>(&opOf(step));
        return isPlain(step) && conv && conv->groups == 1;
    }
    bool isPointwiseStep(const Step& step) const { return isPlain(step) && isPointwise(opOf(step)); }

    // Whether a step reads the one before it, and nothing else does.
    bool feedsNext(size_t index) const {
        if (index + 1 >= steps_.size()) return false;
        const ValueId value = steps_[index].output;
        return value != kNoValue && steps_[index + 1].input == value && readers_.at(value) == 1;
    }

    Step joinedAt(size_t index) const {
        const Step& first = steps_[index];
        if (!feedsNext(index)) return first;
        const Step& second = steps_[index + 1];
        if (isDenseStep(first) && first.residual == kNoValue && isDepthwiseStep(second)) {
            const bool projects = feedsNext(index + 1) && !second.writesSums && isPointwiseStep(steps_[index + 2]) &&
                                  !steps_[index + 2].residualBeforeActivation;
            return join(Step::Kind::InvertedResidual, index, projects ? 3 : 2);
        }
        const bool isVector = first.kind == Step::Kind::Pool && isPointwiseStep(second);
        if (isVector && second.residual == kNoValue) return join(Step::Kind::PooledLinear, index, 2);
        return first;
    }

    Step join(Step::Kind kind, size_t index, size_t count) const {
        Step joined;
        joined.kind = kind;
        joined.parts.assign(steps_.begin() + static_cast<std::ptrdiff_t>(index),
                            steps_.begin() + static_cast<std::ptrdiff_t>(index + count));
        const Step& last = joined.parts.back();
        joined.node = last.node;
        joined.input = joined.parts.front().input;
        joined.output = last.output;
        joined.residual = last.residual;
        joined.writesSums = last.writesSums;
        return joined;
    }

    const Graph& graph_;
    std::vector<Step> steps_;
    std::map<ValueId, int> readers_;
};

}  // namespace

std::vector<Step> fuseBlocks(const Graph& graph, std::vector<Step> steps, const std::vector<ValueId>& kept) {
    return BlockFusion(graph, std::move(steps), kept).run();
}

}  // namespace dunlin
