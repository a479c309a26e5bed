#include "runtime/plan/case_id.h"

#include <cstdio>

#include "runtime/plan/dispatch_cost.h"
#include "runtime/plan/kernels.h"

namespace dunlin {
namespace {

std::string number(double value) {
    char text[32];
    std::snprintf(text, sizeof text, "%g", value);
    return text;
}

std::string sides(int height, int width) {
    return std::to_string(height) + "x" + std::to_string(width);
}

std::string sizeOf(const Shape& shape) {
    return sides(shape.h, shape.w) + "x" + std::to_string(shape.c);
}

std::string arrow(int channels) {
    return "-" + std::to_string(channels);
}

std::string option(bool isOn, const std::string& text) {
    return isOn ? "/" + text : "";
}

std::string activationPart(Activation activation) {
    return option(activation != Activation::None, name(activation));
}

// "1e-06", where it is not the usual one.
std::string epsilonText(float epsilon) {
    constexpr float kUsual = 1e-5f;
    return epsilon == kUsual ? "" : number(double{epsilon});
}

std::string epsilonPart(float epsilon) {
    const std::string text = epsilonText(epsilon);
    return option(!text.empty(), "epsilon" + text);
}

// "k3s1", "k1x7s1x2".
std::string windowText(int kernelH, int kernelW, int strideH, int strideW) {
    const auto side = [](int h, int w) { return h == w ? std::to_string(h) : sides(h, w); };
    return "k" + side(kernelH, kernelW) + "s" + side(strideH, strideW);
}

// Half a window on every side, and none around patches that do not overlap.
Padding usualPadding(int kernelH, int kernelW, int strideH, int strideW) {
    const int vertical = kernelH == strideH ? 0 : (kernelH - 1) / 2;
    const int horizontal = kernelW == strideW ? 0 : (kernelW - 1) / 2;
    return {vertical, horizontal, vertical, horizontal};
}

std::string paddingPart(const char* what, const Padding& padding, const Padding& usual) {
    if (padding == usual) return "";
    std::string text = std::string("/") + what;
    for (const int side : {padding.top, padding.left, padding.bottom, padding.right}) text += arrow(side);
    return text;
}

template <typename Call>
std::string windowPart(const Call& call) {
    return "/" + windowText(call.kernelH, call.kernelW, call.strideH, call.strideW) +
           paddingPart("pad", call.padding, usualPadding(call.kernelH, call.kernelW, call.strideH, call.strideW));
}

std::string residualPart(bool hasResidual, ResidualOrder order) {
    return option(hasResidual, order == ResidualOrder::AfterActivation ? "residual" : "residual-before-activation");
}

template <typename Call>
std::string pixelsPart(const Call& call) {
    return option(call.begin > 0, "from" + std::to_string(call.begin)) +
           option(call.count > 0, "count" + std::to_string(call.count));
}

// What follows the kernel's name.
struct Describe {
    const Graph& graph;
    const DispatchOrigin& origin;
    const PreprocessSpec* preprocess;  // null: does not count

    std::string operator()(const PreprocessCall& call) const {
        if (!preprocess) return sizeOf(call.out.shape);
        const PreprocessSpec& spec = *preprocess;
        return sizeOf(call.out.shape) + "/" + (spec.interpolation == Interpolation::Bicubic ? "bicubic" : "bilinear") +
               "/crop" + number(spec.cropFraction) + option(spec.squash, "squash") + option(spec.swapRedBlue, "bgr");
    }
    std::string operator()(const Conv2dCall& call) const {
        std::string text = sizeOf(call.in.shape) + arrow(call.out.shape.c) + windowPart(call);
        text += activationPart(call.activation) + residualPart(call.residual.has_value(), call.residualOrder);
        if (call.second) text += "/second" + std::to_string(call.second->shape.c);
        if (call.normEpsilon) text += "/window-norm" + epsilonText(*call.normEpsilon);
        return text;
    }
    std::string operator()(const PointwiseCall& call) const {
        std::string text = sizeOf(call.in.shape) + arrow(call.out.shape.c) + activationPart(call.activation) +
                           option(call.gate.has_value(), "gate") +
                           residualPart(call.residual.has_value(), call.residualOrder) +
                           option(call.imageMoments.has_value(), "image-norm");
        if (call.normEpsilon) text += "/norm" + epsilonText(*call.normEpsilon);
        return text;
    }
    std::string operator()(const DepthwiseCall& call) const {
        return sizeOf(call.in.shape) + windowPart(call) + activationPart(call.activation) +
               option(call.sums.has_value(), "squeeze");
    }
    std::string operator()(const SqueezeExciteCall& call) const {
        const Shape& map = graph.shape(origin.step->input);
        return sizeOf(map) + arrow(call.reducedChannels) + "/" + name(call.reduceActivation) + "/" +
               name(call.gateActivation) + "/partials" + std::to_string(call.sums.shape.w);
    }
    std::string operator()(const PoolCall& call) const { return sizeOf(call.in.shape) + pixelsPart(call); }
    std::string operator()(const HeadCall& call) const {
        return sizeOf(call.logits.shape) + "/top" + std::to_string(call.topK);
    }
    std::string operator()(const ExportCall& call) const { return sizeOf(call.in.shape); }
    std::string operator()(const AttentionCall& call) const {
        const Shape& map = call.out.shape;
        std::string text =
            sizeOf({map.n, map.h, map.w, call.heads * call.headChannels}) + "/heads" + std::to_string(call.heads);
        text += option(call.patchH > 1 || call.patchW > 1, "patch" + sides(call.patchH, call.patchW));
        if (!call.windows) return text;
        const AttentionWindows& windows = *call.windows;
        return text + "/windows" + sides(windows.height, windows.width) +
               option(windows.shiftH > 0 || windows.shiftW > 0, "shift" + sides(windows.shiftH, windows.shiftW));
    }
    std::string operator()(const SeparableAttentionCall& call) const {
        return sizeOf(call.out.shape) + "/patch" + sides(call.patchH, call.patchW);
    }
    std::string operator()(const LayerNormCall& call) const {
        return sizeOf(call.in.shape) + option(call.moments.has_value(), "image") + epsilonPart(call.epsilon);
    }
    std::string operator()(const MomentsCall& call) const { return sizeOf(call.in.shape) + epsilonPart(call.epsilon); }
    std::string operator()(const EmbedTokensCall& call) const {
        return sizeOf(call.in.shape) + option(call.prefix > 0, "prefix" + std::to_string(call.prefix));
    }
    std::string operator()(const ResizeCall& call) const {
        return sizeOf(call.in.shape) + "-" + sides(call.out.shape.h, call.out.shape.w) +
               option(call.alignCorners, "corners");
    }
    std::string operator()(const MaxPoolCall& call) const { return sizeOf(call.in.shape) + windowPart(call); }
    std::string operator()(const PooledLinearCall& call) const {
        return sizeOf(call.in.shape) + arrow(call.out.shape.c) + activationPart(call.activation) + pixelsPart(call);
    }
    // Input, hidden and projected channels; the depthwise window; the first one where it is not 1x1.
    std::string operator()(const InvertedResidualCall& call) const {
        std::string text = sizeOf(call.in.shape) + arrow(call.hidden.c);
        if (call.projectWeights) text += arrow(call.out.shape.c);
        text += windowPart(call);
        const Padding usual = usualPadding(call.firstKernelH, call.firstKernelW, call.firstStrideH, call.firstStrideW);
        const std::string first =
            windowText(call.firstKernelH, call.firstKernelW, call.firstStrideH, call.firstStrideW);
        text += option(first != "k1s1", "first-" + first) + paddingPart("first-pad", call.firstPadding, usual);
        text += activationPart(call.activation);
        text += option(call.firstActivation != call.activation, std::string("first-") + name(call.firstActivation));
        text +=
            option(call.projectActivation != Activation::None, std::string("project-") + name(call.projectActivation));
        return text + option(call.residual.has_value(), "residual") + option(call.sums.has_value(), "squeeze");
    }
};

std::string imagesPart(const DispatchOrigin& origin) {
    if (std::holds_alternative<PreprocessCall>(origin.call)) return "";
    return option(origin.extent.images > 1, "b" + std::to_string(origin.extent.images));
}

std::string firstImagePart(const DispatchOrigin& origin) {
    const auto* preprocess = std::get_if<PreprocessCall>(&origin.call);
    const int image = preprocess ? preprocess->image : origin.extent.imageBegin;
    return option(image > 0, "image" + std::to_string(image));
}

std::string rowsPart(const DispatchOrigin& origin) {
    if (std::holds_alternative<PreprocessCall>(origin.call) || computesEveryRow(origin)) return "";
    const Extent& extent = origin.extent;
    return "/rows" + std::to_string(extent.rowBegin) + arrow(extent.rowBegin + extent.rows);
}

std::string problemPart(const Graph& graph, const DispatchOrigin& origin, const PreprocessSpec* preprocess) {
    return std::string(row(kernelOf(origin.call)).name) + "/" +
           std::visit(Describe{graph, origin, preprocess}, origin.call) + imagesPart(origin);
}

}  // namespace

bool computesEveryRow(const DispatchOrigin& origin) {
    const int rows = rowsOf(origin.call);
    return rows == 0 || (origin.extent.rowBegin == 0 && origin.extent.rows == rows);
}

std::string caseId(const Graph& graph, const DispatchOrigin& origin, const PreprocessSpec& preprocess) {
    return problemPart(graph, origin, &preprocess) + firstImagePart(origin) + rowsPart(origin);
}

std::string formKey(const Graph& graph, const DispatchOrigin& origin, Precision precision) {
    return problemPart(graph, origin, nullptr) + rowsPart(origin) + (precision == Precision::Fp16 ? "/fp16" : "/fp32");
}

}  // namespace dunlin
