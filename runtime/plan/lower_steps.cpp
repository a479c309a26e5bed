#include "runtime/plan/lower_steps.h"

#include <algorithm>
#include <map>
#include <set>

#include "runtime/plan/case_id.h"
#include "runtime/plan/dispatch_builders.h"
#include "runtime/plan/form_candidates.h"
#include "runtime/plan/fusion.h"
#include "runtime/plan/kernel_forms.h"
#include "runtime/plan/prepack.h"
#include "runtime/plan/stored_layout.h"

namespace dunlin {
namespace {

// The output's shape, of kernels that take whole images only: no rows to split.
constexpr Shape kWholeImages = {1, 1, 1, 1};

template <typename Call, typename Window>
void setWindow(Call& call, const Window& op) {
    call.kernelH = op.kernelH;
    call.kernelW = op.kernelW;
    call.strideH = op.strideH;
    call.strideW = op.strideW;
    call.padding = op.padding;
}

ResidualOrder residualOrder(const Step& step) {
    return step.residualBeforeActivation ? ResidualOrder::BeforeActivation : ResidualOrder::AfterActivation;
}

// One lowering of a network, for a fixed number of images that go through it together.
class Lowering {
  public:
    explicit Lowering(const StepsToLower& wanted)
        : graph_(wanted.graph),
          steps_(wanted.steps),
          taps_(wanted.taps),
          options_(wanted.options),
          limits_(wanted.limits),
          builder_(wanted.limits, wanted.options.precision),
          batch_(wanted.graph.shape(wanted.graph.input()).n),
          microBatch_(wanted.microBatch),
          storageOnly_(wanted.storageOnly),
          forms_(wanted.forms),
          groupBytes_(static_cast<uint32_t>(kChannelGroup * elementSize(wanted.options.precision))) {}

    Result<LoweredNetwork> run() {
        program_.input = graph_.shape(graph_.input());
        program_.precision = options_.precision;
        program_.microBatch = microBatch_;
        program_.outputs = outputLayout(graph_, options_, &program_.outputBytes);
        program_.outputTensor = addTensor({"output", Storage::Output, {}, kFloatGroupBytes, program_.outputBytes, -1});
        addConstants();
        for (firstImage_ = 0; firstImage_ < batch_; firstImage_ += microBatch_) DUNLIN_TRY(lowerMicroBatch());
        return LoweredNetwork{
            std::move(program_), {}, std::move(origins_), {ignoredForms_.begin(), ignoredForms_.end()}};
    }

  private:
    TensorId addTensor(Tensor tensor) {
        program_.tensors.push_back(std::move(tensor));
        return static_cast<TensorId>(program_.tensors.size() - 1);
    }

    void addConstants() {
        const std::vector<Constant> constants = constantsOf(graph_, options_.precision);
        for (size_t i = 0; i < constants.size(); ++i) {
            const Node& node = graph_.nodes()[static_cast<size_t>(constants[i].node)];
            constants_[constants[i].node] = addTensor({node.name + ".weights",
                                                       Storage::Constant,
                                                       {},
                                                       groupBytes_,
                                                       constants[i].sizeBytes,
                                                       static_cast<int>(i)});
        }
    }

    Shape microShape(Shape shape) const {
        shape.n = microBatch_;
        return shape;
    }

    TensorId addActivation(std::string name, const Shape& shape, uint32_t groupBytes) {
        const auto groups = static_cast<uint64_t>(shape.pixelCount()) * static_cast<uint64_t>(channelGroups(shape.c));
        return addTensor({std::move(name), Storage::Arena, shape, groupBytes, groups * groupBytes, -1});
    }

    Operand operand(TensorId id) const {
        const Tensor& tensor = program_.tensors[static_cast<size_t>(id)];
        return {id, tensor.shape, tensor.groupBytes, firstImage_};
    }
    Operand valueOperand(ValueId value) const { return operand(values_.at(value)); }
    Operand constantOperand(int node) const { return {constants_.at(node), {}, groupBytes_, 0}; }
    Operand outputOperand() const { return {program_.outputTensor, {}, kFloatGroupBytes, 0}; }

    Operand newValue(ValueId value, const std::string& name) {
        values_[value] = addActivation(name, microShape(storedShape(graph_, value)), groupBytes_);
        return valueOperand(value);
    }

    const OutputSlice& slice(std::string_view name) const {
        return *std::ranges::find(program_.outputs, name, &OutputSlice::name);
    }

    // A part of what a call computes, and how.
    struct Piece {
        KernelForm form, defaultForm;
        Extent extent;
    };

    void emit(const std::string& name, const KernelCall& call, const Piece& piece) {
        Dispatch dispatch = builder_.build(call, piece.form, piece.extent);
        dispatch.name = name;
        program_.dispatches.push_back(std::move(dispatch));
        origins_.push_back({call, piece.form, piece.defaultForm, piece.extent, currentStep()});
    }

    std::optional<Step> currentStep() const { return step_ ? std::optional(*step_) : std::nullopt; }

    std::string keyOf(const KernelCall& call, const Extent& extent) const {
        return formKey(graph_, {call, {}, {}, extent, currentStep()}, options_.precision);
    }

    // The table's form, where it has one that this device can run.
    Piece pieceOf(const KernelCall& call, const KernelForm& defaultForm, const Extent& extent) {
        if (!forms_ || forms_->forms.empty()) return {defaultForm, defaultForm, extent};
        const FormChoice choice =
            chooseForm(*forms_, keyOf(call, extent), {call, extent, defaultForm, options_.precision, limits_});
        if (!choice.ignored.empty()) ignoredForms_.insert(choice.ignored);
        return {choice.form, defaultForm, extent};
    }

    const Node& nodeOf(const Step& step) const { return graph_.nodes()[static_cast<size_t>(step.node)]; }

    Extent wholeExtent(const Shape& shape) const { return {firstImage_, microBatch_, 0, shape.h}; }

    Status lowerMicroBatch() {
        values_.clear();
        sums_.clear();
        moments_.clear();
        const Operand input = newValue(graph_.input(), "input");
        for (int image = 0; image < microBatch_; ++image) {
            const PreprocessCall call = {input, firstImage_ + image};
            emit("preprocess", call, pieceOf(call, preprocessForm(limits_), {}));
        }
        for (const Step& step : steps_) {
            step_ = &step;
            DUNLIN_TRY(lowerStep(step));
        }
        step_ = nullptr;
        DUNLIN_TRY(lowerHead());
        const size_t firstTap = program_.outputs.size() - taps_.size();
        for (size_t i = 0; i < taps_.size(); ++i) DUNLIN_TRY(lowerTap(taps_[i], program_.outputs[firstTap + i]));
        return {};
    }

    Status lowerStep(const Step& step) {
        switch (step.kind) {
            case Step::Kind::Convolution:
                return lowerConvolution(step);
            case Step::Kind::SqueezeExcite:
                return lowerSqueezeExcite(step);
            case Step::Kind::Moments:
                return lowerMoments(step);
            case Step::Kind::LayerNorm:
                return lowerLayerNorm(step);
            case Step::Kind::Pool:
                return lowerPool(step);
            case Step::Kind::Attention:
                return lowerAttention(step);
            case Step::Kind::SeparableAttention:
                return lowerSeparableAttention(step);
            case Step::Kind::EmbedTokens:
                return lowerEmbedTokens(step);
            case Step::Kind::Resize:
                return lowerResize(step);
            case Step::Kind::MaxPool:
                return lowerMaxPool(step);
            case Step::Kind::InvertedResidual:
                return lowerInvertedResidual(step);
            case Step::Kind::PooledLinear:
                return lowerPooledLinear(step);
        }
        return {};
    }

    Status lowerConvolution(const Step& step) {
        const Node& node = nodeOf(step);
        const bool isWindow = step.mergedBlock > 0 || step.second != kNoValue;
        if (isPointwise(node.op) && !isWindow) return lowerPointwise(step, node);
        const auto* conv = std::get_if<Conv2d>(&node.op);
        if (!conv || conv->groups == 1) return lowerConv2d(step, node);
        if (isDepthwise(graph_, *conv)) return lowerDepthwise(step, node, *conv);
        return error(StatusCode::Unsupported, "%s: no kernel computes a convolution of %d channels in %d groups",
                     node.name.c_str(), graph_.shape(conv->input).c, conv->groups);
    }

    // The whole output, or strips of its rows where it exceeds the device's buffer ranges, and the load path that
    // allows it.
    Result<std::vector<Piece>> split(const std::string& name, const Shape& out, KernelForm form,
                                     const KernelCall& call) {
        const auto build = [&](const KernelForm& splitForm, const Extent& extent) {
            return builder_.build(call, splitForm, extent);
        };
        const auto fits = [&](const Extent& extent) { return dispatchFits(build(form, extent), limits_); };
        if (storageOnly_ || !fits(wholeExtent(out))) form.load = LoadPath::Storage;
        if (fits(wholeExtent(out))) return std::vector<Piece>{pieceOf(call, form, wholeExtent(out))};
        for (int strips = 2; microBatch_ == 1 && strips <= out.h; ++strips) {
            const std::vector<Extent> extents = stripsOf(out, strips);
            if (!std::ranges::all_of(extents, fits)) continue;
            std::vector<Piece> pieces;
            for (const Extent& extent : extents) pieces.push_back(pieceOf(call, form, extent));
            return pieces;
        }
        return doesNotFit(name, build(form, wholeExtent(out)));
    }

    Status emitSplit(const std::string& name, const Shape& out, const KernelForm& form, const KernelCall& call) {
        DUNLIN_ASSIGN(const std::vector<Piece> pieces, split(name, out, form, call));
        for (const Piece& piece : pieces) emit(name, call, piece);
        return {};
    }

    // For kernels that take whole images only.
    Status emitWhole(const std::string& name, const KernelForm& form, const KernelCall& call) {
        return emitSplit(name, kWholeImages, form, call);
    }

    std::vector<Extent> stripsOf(const Shape& out, int strips) const {
        const int rows = divideUp(out.h, strips);
        std::vector<Extent> extents;
        for (int row = 0; row < out.h; row += rows)
            extents.push_back({firstImage_, 1, row, std::min(rows, out.h - row)});
        return extents;
    }

    Status doesNotFit(const std::string& name, const Dispatch& dispatch) const {
        uint64_t largest = 0;
        for (const Binding& binding : dispatch.bindings) largest = std::max(largest, binding.sizeBytes);
        return error(StatusCode::DoesNotFit,
                     "%s needs a buffer range of %llu bytes, and the device's limit is %llu (maxStorageBufferRange)",
                     name.c_str(), static_cast<unsigned long long>(largest),
                     static_cast<unsigned long long>(limits_.maxStorageBufferRange));
    }

    Status lowerPointwise(const Step& step, const Node& node) {
        const Shape out = microShape(graph_.shape(step.output));
        PointwiseCall call;
        call.in = valueOperand(step.input);
        call.weights = constantOperand(step.node);
        if (step.residual != kNoValue) call.residual = valueOperand(step.residual);
        call.residualOrder = residualOrder(step);
        if (step.gate != kNoValue) call.gate = valueOperand(step.gate);
        if (step.normNode >= 0) setNorm(call, step.normNode);
        call.out = newValue(step.output, node.name);
        call.activation = step.activation;
        const KernelForm form = pointwiseForm(limits_, call.in.shape, out);
        return emitSplit(node.name, out, form, call);
    }

    void setNorm(PointwiseCall& call, int normNode) const {
        const auto& norm = std::get<LayerNorm>(graph_.nodes()[static_cast<size_t>(normNode)].op);
        if (norm.over == LayerNorm::Over::Image) {
            call.imageMoments = operand(moments_.at(normNode));
        } else {
            call.normEpsilon = static_cast<float>(norm.epsilon);
        }
    }

    // A Conv2d, or a Linear over merged patches.
    Status lowerConv2d(const Step& step, const Node& node) {
        const Shape out = microShape(graph_.shape(step.output));
        Conv2dCall call;
        call.in = valueOperand(step.input);
        call.weights = constantOperand(step.node);
        if (step.residual != kNoValue) call.residual = valueOperand(step.residual);
        call.residualOrder = residualOrder(step);
        if (step.second != kNoValue) call.second = valueOperand(step.second);
        call.out = newValue(step.output, node.name);
        call.activation = step.activation;
        if (const auto* conv = std::get_if<Conv2d>(&node.op)) {
            setWindow(call, *conv);
        } else {
            const auto& norm = std::get<LayerNorm>(graph_.nodes()[static_cast<size_t>(step.normNode)].op);
            call.kernelH = call.kernelW = call.strideH = call.strideW = step.mergedBlock;
            call.normEpsilon = static_cast<float>(norm.epsilon);
        }
        return emitSplit(node.name, out, conv2dForm(limits_, out), call);
    }

    Status lowerDepthwise(const Step& step, const Node& node, const Conv2d& conv) {
        const Shape out = microShape(graph_.shape(step.output));
        const KernelForm form = depthwiseForm(limits_, out, std::max(conv.kernelH, conv.kernelW), step.writesSums);
        DepthwiseCall call;
        call.in = valueOperand(step.input);
        call.weights = constantOperand(step.node);
        call.out = newValue(step.output, node.name);
        call.activation = step.activation;
        setWindow(call, conv);
        if (step.writesSums) call.sums = sumsPlaceholder(out);
        DUNLIN_ASSIGN(const std::vector<Piece> pieces, split(node.name, out, form, call));
        emitWithSums(step, out, pieces, call, DispatchBuilder::partialCount);
        return {};
    }

    // Partial sums as long as their number is not known, which hangs on the form.
    Operand sumsPlaceholder(const Shape& out) const {
        return {-1, {microBatch_, 1, 1, out.c}, kFloatGroupBytes, firstImage_};
    }

    // The dispatches of a depthwise step, each of which adds partial sums of its own where they are wanted.
    template <typename Call, typename CountPartials>
    void emitWithSums(const Step& step, const Shape& out, const std::vector<Piece>& pieces, Call& call,
                      CountPartials countPartials) {
        const std::string& name = nodeOf(step).name;
        if (step.writesSums) {
            int partials = 0;
            for (const Piece& piece : pieces) partials += countPartials(out, piece.extent.rows, piece.form);
            sums_[step.output] = addActivation(name + ".sums", {microBatch_, 1, partials, out.c}, kFloatGroupBytes);
            call.sums = operand(sums_.at(step.output));
        }
        for (const Piece& piece : pieces) {
            emit(name, call, piece);
            call.partialBegin += countPartials(out, piece.extent.rows, piece.form);
        }
    }

    // Whether joined steps are one dispatch: all of them at FusionLevel::Max, else those that the table names.
    bool isFused(const KernelCall& call, const Shape& out) const {
        if (options_.fusion == FusionLevel::Max) return true;
        return forms_ && forms_->fusedBlocks.contains(keyOf(call, wholeExtent(out)));
    }

    // Where joined steps are not to be one, or the device cannot run them so.
    Status lowerParts(const Step& step) {
        for (const Step& part : step.parts) {
            step_ = &part;
            DUNLIN_TRY(lowerStep(part));
        }
        return {};
    }

    Status lowerInvertedResidual(const Step& step) {
        const Step &first = step.parts[0], &depthwise = step.parts[1];
        const auto& firstConv = std::get<Conv2d>(nodeOf(first).op);
        const auto& deepConv = std::get<Conv2d>(nodeOf(depthwise).op);
        const Shape out = microShape(graph_.shape(step.output));
        InvertedResidualCall call;
        call.in = valueOperand(step.input);
        call.firstWeights = constantOperand(first.node);
        call.depthwiseWeights = constantOperand(depthwise.node);
        call.hidden = microShape(graph_.shape(first.output));
        call.firstKernelH = firstConv.kernelH;
        call.firstKernelW = firstConv.kernelW;
        call.firstStrideH = firstConv.strideH;
        call.firstStrideW = firstConv.strideW;
        call.firstPadding = firstConv.padding;
        call.firstActivation = first.activation;
        setWindow(call, deepConv);
        call.activation = depthwise.activation;
        if (step.parts.size() == 3) {
            call.projectWeights = constantOperand(step.parts[2].node);
            call.projectActivation = step.parts[2].activation;
            if (step.residual != kNoValue) call.residual = valueOperand(step.residual);
        }
        if (step.writesSums) call.sums = sumsPlaceholder(out);
        call.out.shape = out;
        if (!isFused(call, out)) return lowerParts(step);
        call.out = newValue(step.output, nodeOf(step).name);
        const std::optional<KernelForm> form = invertedResidualForm(limits_, call);
        if (!form) return lowerParts(step);
        const Result<std::vector<Piece>> pieces = split(nodeOf(step).name, out, *form, call);
        if (!pieces.ok()) return lowerParts(step);
        emitWithSums(step, out, *pieces, call, DispatchBuilder::invertedResidualPartials);
        return {};
    }

    Status lowerPooledLinear(const Step& step) {
        const Node& node = nodeOf(step);
        const auto& pool = std::get<GlobalAvgPool>(nodeOf(step.parts[0]).op);
        PooledLinearCall call;
        call.in = valueOperand(step.input);
        call.weights = constantOperand(step.node);
        call.out.shape = microShape(graph_.shape(step.output));
        call.begin = pool.begin;
        call.count = pool.count;
        call.activation = step.parts[1].activation;
        if (!isFused(call, kWholeImages)) return lowerParts(step);
        call.out = newValue(step.output, node.name);
        return emitWhole(node.name, pooledLinearForm(limits_, call.in.shape, channelGroups(call.out.shape.c)), call);
    }

    Status lowerSqueezeExcite(const Step& step) {
        const Node& expand = graph_.nodes()[static_cast<size_t>(step.node)];
        const Node& reduce = graph_.nodes()[static_cast<size_t>(step.reduceNode)];
        const Shape& map = graph_.shape(step.input);
        SqueezeExciteCall call;
        call.sums = operand(sums_.at(step.input));
        call.reduceWeights = constantOperand(step.reduceNode);
        call.expandWeights = constantOperand(step.node);
        call.gate = newValue(step.output, expand.name);
        call.reducedChannels = graph_.shape(reduce.output).c;
        call.pixels = int64_t{map.h} * map.w;
        call.reduceActivation = std::get<Conv2d>(reduce.op).activation;
        call.gateActivation = std::get<Conv2d>(expand.op).activation;
        const KernelForm form = squeezeExciteForm(limits_);
        if (squeezeExciteChunk(limits_, form.localSize, call.reducedChannels) == 0) {
            return error(StatusCode::Unsupported,
                         "%s has a bottleneck of %d channels, more than fit the device's %u bytes of shared memory",
                         expand.name.c_str(), call.reducedChannels, limits_.sharedMemoryBytes);
        }
        return emitWhole(expand.name, form, call);
    }

    Status lowerPool(const Step& step) {
        const Node& node = nodeOf(step);
        const auto& pool = std::get<GlobalAvgPool>(node.op);
        const PoolCall call = {valueOperand(step.input), newValue(step.output, node.name), pool.begin, pool.count};
        return emitWhole(node.name, poolForm(limits_, call.in.shape), call);
    }

    Status lowerMoments(const Step& step) {
        const Node& node = nodeOf(step);
        moments_[step.node] = addActivation(node.name + ".moments", {microBatch_, 1, 1, kChannelGroup}, groupBytes_);
        MomentsCall call = {valueOperand(step.input), operand(moments_.at(step.node))};
        call.epsilon = static_cast<float>(std::get<LayerNorm>(node.op).epsilon);
        return emitWhole(node.name + ".moments", momentsForm(limits_), call);
    }

    Status lowerLayerNorm(const Step& step) {
        const Node& node = nodeOf(step);
        const auto& norm = std::get<LayerNorm>(node.op);
        LayerNormCall call = {valueOperand(step.input), constantOperand(step.node), newValue(step.output, node.name)};
        if (norm.over == LayerNorm::Over::Image) call.moments = operand(moments_.at(step.node));
        call.epsilon = static_cast<float>(norm.epsilon);
        return emitSplit(node.name, call.out.shape, layerNormForm(limits_, call.out.shape), call);
    }

    Status lowerAttention(const Step& step) {
        const Node& node = nodeOf(step);
        const auto& attention = std::get<Attention>(node.op);
        AttentionCall call = {valueOperand(step.input), newValue(step.output, node.name)};
        if (attention.windows) call.constants = constantOperand(step.node);
        call.heads = attention.heads;
        call.headChannels = graph_.shape(step.output).c / attention.heads;
        call.patchH = attention.patchH;
        call.patchW = attention.patchW;
        call.windows = attention.windows;
        return emitWhole(node.name, attentionForm(limits_, call), call);
    }

    Status lowerSeparableAttention(const Step& step) {
        const Node& node = nodeOf(step);
        const auto& attention = std::get<SeparableAttention>(node.op);
        const SeparableAttentionCall call = {valueOperand(step.input), newValue(step.output, node.name),
                                             attention.patchH, attention.patchW};
        return emitWhole(node.name, separableAttentionForm(limits_, call.out.shape), call);
    }

    Status lowerEmbedTokens(const Step& step) {
        const Node& node = nodeOf(step);
        const EmbedTokensCall call = {valueOperand(step.input), constantOperand(step.node),
                                      newValue(step.output, node.name), std::get<EmbedTokens>(node.op).prefix()};
        return emitWhole(node.name, elementwiseForm(limits_), call);
    }

    Status lowerResize(const Step& step) {
        const Node& node = nodeOf(step);
        const ResizeCall call = {valueOperand(step.input), newValue(step.output, node.name),
                                 std::get<Resize>(node.op).alignCorners};
        return emitSplit(node.name, call.out.shape, elementwiseForm(limits_), call);
    }

    Status lowerMaxPool(const Step& step) {
        const Node& node = nodeOf(step);
        MaxPoolCall call = {valueOperand(step.input), newValue(step.output, node.name)};
        setWindow(call, std::get<MaxPool>(node.op));
        return emitSplit(node.name, call.out.shape, elementwiseForm(limits_), call);
    }

    Status lowerHead() {
        HeadCall call;
        call.logits = valueOperand(graph_.output());
        call.result = outputOperand();
        call.topK = slice("top_classes").shape.c;
        call.logitsBytes = slice("logits").offsetBytes;
        call.probabilitiesBytes = slice("probabilities").offsetBytes;
        call.topClassesBytes = slice("top_classes").offsetBytes;
        call.topProbabilitiesBytes = slice("top_probabilities").offsetBytes;
        return emitWhole("softmax_top_k", headForm(limits_), call);
    }

    Status lowerTap(ValueId value, const OutputSlice& output) {
        ExportCall call;
        call.in = valueOperand(value);
        call.result = outputOperand();
        call.resultBytes = output.offsetBytes;
        return emitSplit("export " + output.name, call.in.shape, elementwiseForm(limits_), call);
    }

    const Graph& graph_;
    const std::vector<Step>& steps_;
    const std::vector<ValueId>& taps_;
    const SessionOptions& options_;
    const DeviceLimits& limits_;
    DispatchBuilder builder_;
    int batch_, microBatch_;
    bool storageOnly_;
    const FormTable* forms_;
    uint32_t groupBytes_;
    int firstImage_ = 0;
    Program program_;
    std::vector<DispatchOrigin> origins_;
    std::set<std::string> ignoredForms_;
    const Step* step_ = nullptr;         // that is being lowered; none: what no op of the graph asks for
    std::map<int, TensorId> constants_;  // by node
    std::map<ValueId, TensorId> values_, sums_;
    std::map<int, TensorId> moments_;  // by LayerNorm node
};

}  // namespace

Result<LoweredNetwork> lowerSteps(const StepsToLower& wanted) {
    return Lowering(wanted).run();
}

}  // namespace dunlin
