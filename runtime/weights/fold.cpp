#include "runtime/weights/fold.h"

#include <cmath>
#include <unordered_map>
#include <unordered_set>

#include "runtime/weights/position_embedding.h"
#include "runtime/weights/tensor_data.h"

namespace dunlin {
namespace {

Result<std::vector<float>> readTensor(const WeightsSource& weights, const std::string& name,
                                      const std::vector<int64_t>& shape) {
    const std::optional<int64_t> count = elementCount(shape);
    if (!count)
        return error(StatusCode::InvalidArgument, "%s %s is too large", name.c_str(), describeShape(shape).c_str());
    std::vector<float> values(static_cast<size_t>(*count));
    DUNLIN_TRY(weights.read(name, shape, values));
    for (size_t i = 0; i < values.size(); ++i) {
        if (!std::isfinite(values[i])) {
            return error(StatusCode::BadFile, "%s: element %zu is %f, not a finite number",
                         weights.placeOf(name).c_str(), i, static_cast<double>(values[i]));
        }
    }
    return values;
}

// weight * gamma / sqrt(variance + epsilon), and the bias that makes up for mean and beta. As vision frameworks
// evaluate a BatchNorm with running statistics; in double, rounded once.
Status foldBatchNorm(const BatchNorm& norm, const WeightsSource& weights, FoldedWeights& folded) {
    const std::vector<int64_t> shape = {static_cast<int64_t>(folded.bias.size())};
    DUNLIN_ASSIGN(const auto gamma, readTensor(weights, norm.name + ".weight", shape));
    DUNLIN_ASSIGN(const auto beta, readTensor(weights, norm.name + ".bias", shape));
    DUNLIN_ASSIGN(const auto mean, readTensor(weights, norm.name + ".running_mean", shape));
    DUNLIN_ASSIGN(const auto variance, readTensor(weights, norm.name + ".running_var", shape));
    const size_t outputs = folded.bias.size();
    const size_t perOutput = folded.weight.size() / outputs;
    for (size_t o = 0; o < outputs; ++o) {
        const double spread = double{variance[o]} + norm.epsilon;
        if (!(spread > 0)) {
            return error(StatusCode::BadFile, "%s: element %zu is %g, but a variance is not negative",
                         weights.placeOf(norm.name + ".running_var").c_str(), o, static_cast<double>(variance[o]));
        }
        const double scale = double{gamma[o]} / std::sqrt(spread);
        for (size_t i = o * perOutput; i < (o + 1) * perOutput; ++i) {
            folded.weight[i] = static_cast<float>(folded.weight[i] * scale);
        }
        folded.bias[o] = static_cast<float>((double{folded.bias[o]} - mean[o]) * scale + beta[o]);
    }
    return {};
}

Status foldScale(const std::string& name, const WeightsSource& weights, FoldedWeights& folded) {
    DUNLIN_ASSIGN(const auto scale, readTensor(weights, name, {static_cast<int64_t>(folded.bias.size())}));
    const size_t perOutput = folded.weight.size() / folded.bias.size();
    for (size_t o = 0; o < folded.bias.size(); ++o) {
        for (size_t i = o * perOutput; i < (o + 1) * perOutput; ++i) folded.weight[i] *= scale[o];
        folded.bias[o] *= scale[o];
    }
    return {};
}

Result<FoldedWeights> fold(const Parameters& parameters, const std::vector<int64_t>& weightShape,
                           const WeightsSource& weights) {
    FoldedWeights folded;
    DUNLIN_ASSIGN(folded.weight, readTensor(weights, parameters.weight, weightShape));
    if (parameters.bias.empty()) {
        folded.bias.assign(static_cast<size_t>(weightShape[0]), 0.0f);
    } else {
        DUNLIN_ASSIGN(folded.bias, readTensor(weights, parameters.bias, {weightShape[0]}));
    }
    if (parameters.norm) DUNLIN_TRY(foldBatchNorm(*parameters.norm, weights, folded));
    if (!parameters.scale.empty()) DUNLIN_TRY(foldScale(parameters.scale, weights, folded));
    return folded;
}

Result<FoldedWeights> readLayerNorm(const Graph& graph, const LayerNorm& norm, const WeightsSource& weights) {
    const std::vector<int64_t> shape = {graph.shape(norm.input).c};
    FoldedWeights folded;
    DUNLIN_ASSIGN(folded.weight, readTensor(weights, norm.parameters.weight, shape));
    DUNLIN_ASSIGN(folded.bias, readTensor(weights, norm.parameters.bias, shape));
    return folded;
}

Result<FoldedWeights> readWindows(const Graph& graph, const Attention& attention, const WeightsSource& weights) {
    const AttentionWindows& windows = *attention.windows;
    const int64_t rows = int64_t{2 * windows.height - 1} * (2 * windows.width - 1);
    FoldedWeights folded;
    DUNLIN_ASSIGN(folded.weight, readTensor(weights, windows.bias, {rows, attention.heads}));
    DUNLIN_ASSIGN(folded.bias, readTensor(weights, windows.paddedToken, {graph.shape(attention.input).c}));
    return folded;
}

// The positions for the map's size, with the class token added to its own.
Result<FoldedWeights> readTokens(const Graph& graph, const EmbedTokens& tokens, const WeightsSource& weights) {
    const Shape& map = graph.shape(tokens.input);
    const auto channels = static_cast<size_t>(map.c);
    const auto prefix = static_cast<size_t>(tokens.prefix());
    DUNLIN_ASSIGN(const std::vector<float> learnt,
                  readTensor(weights, tokens.positions,
                             {1, tokens.prefix() + int64_t{tokens.grid} * tokens.grid, int64_t{map.c}}));
    FoldedWeights folded;
    folded.weight.assign(learnt.begin(), learnt.begin() + static_cast<std::ptrdiff_t>(prefix * channels));
    if (prefix > 0) {
        DUNLIN_ASSIGN(const std::vector<float> token, readTensor(weights, tokens.classToken, {1, 1, int64_t{map.c}}));
        for (size_t c = 0; c < channels; ++c) folded.weight[c] += token[c];
    }
    const std::vector<float> places =
        resizePositions(std::span(learnt).subspan(prefix * channels), tokens.grid, tokens.grid, map.h, map.w, map.c);
    folded.weight.insert(folded.weight.end(), places.begin(), places.end());
    return folded;
}

// Names for one kind of complaint: how many, and the first few.
class Complaints {
  public:
    void add(const std::string& what) {
        if (count_++ < kShown) shown_ += (shown_.empty() ? "" : ", ") + what;
    }
    bool any() const { return count_ > 0; }
    std::string text(const char* verdict) const {
        return std::to_string(count_) + " " + verdict + " (" + shown_ + (count_ > kShown ? ", ..." : "") + ")";
    }

  private:
    static constexpr int kShown = 3;
    int count_ = 0;
    std::string shown_;
};

// A tensor by its canonical name, and by the file's where that is another.
std::string bothNames(const WeightsSource& weights, const std::string& name) {
    const std::string_view original = weights.originalName(name);
    return original == name ? name : name + ", " + std::string(original) + " in the file,";
}

}  // namespace

Result<FoldedWeights> foldWeights(const Graph& graph, const Node& node, const WeightsSource& weights) {
    if (const auto* conv = std::get_if<Conv2d>(&node.op)) {
        const int64_t inChannels = graph.shape(conv->input).c / conv->groups;
        return fold(conv->parameters, {conv->outChannels, inChannels, conv->kernelH, conv->kernelW}, weights);
    }
    if (const auto* linear = std::get_if<Linear>(&node.op)) {
        return fold(linear->parameters, {linear->outFeatures, graph.shape(linear->input).c}, weights);
    }
    if (const auto* norm = std::get_if<LayerNorm>(&node.op)) return readLayerNorm(graph, *norm, weights);
    if (const auto* tokens = std::get_if<EmbedTokens>(&node.op)) return readTokens(graph, *tokens, weights);
    const auto* attention = std::get_if<Attention>(&node.op);
    if (attention && attention->windows) return readWindows(graph, *attention, weights);
    return FoldedWeights{};
}

Status checkWeights(const Graph& graph, const WeightsSource& weights) {
    if (weights.isFormula()) return {};
    std::unordered_map<std::string_view, const TensorInfo*> tensors;
    for (const TensorInfo& tensor : weights.tensors()) tensors.emplace(tensor.name, &tensor);
    std::unordered_set<std::string_view> claimed;

    Complaints missing, misshapen, integers, extra;
    for (const ParameterTensor& need : graph.parameters()) {
        const auto found = tensors.find(need.name);
        if (found == tensors.end()) {
            missing.add(need.name + " " + describeShape(need.shape));
            continue;
        }
        const TensorInfo& have = *found->second;
        claimed.insert(have.name);
        if (have.shape != need.shape) {
            misshapen.add(bothNames(weights, need.name) + " is " + describeShape(have.shape) + " instead of " +
                          describeShape(need.shape));
        } else if (have.dtype == DType::I64) {
            integers.add(std::string(weights.originalName(need.name)));
        }
    }
    for (const TensorInfo& tensor : weights.tensors()) {  // in the file's order
        if (!claimed.contains(tensor.name) && !isCounter(tensor.name)) {
            extra.add(printable(tensor.name) + " " + describeShape(tensor.shape));
        }
    }

    std::string text;
    const auto append = [&text](const Complaints& complaints, const char* verdict) {
        if (complaints.any()) text += (text.empty() ? "" : "; ") + complaints.text(verdict);
    };
    append(missing, "missing");
    append(misshapen, "of another shape");
    append(integers, "of integers");
    append(extra, "too many");
    if (text.empty()) return {};
    return Status(StatusCode::BadFile, "its tensors do not fit the network: " + text);
}

}  // namespace dunlin
