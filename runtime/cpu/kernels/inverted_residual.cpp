#include "runtime/cpu/kernels/inverted_residual.h"

#include <algorithm>
#include <utility>

#include "runtime/plan/fusion.h"

namespace dunlin::cpu {
namespace {

// Maps that do not stay in a cache of the second level between one convolution and the next, and weights that do.
constexpr int64_t kFarBytes = 300 * 1024;
constexpr int64_t kNearBytes = 200 * 1024;
constexpr size_t kBandsAWorker = 3;  // the rows between two bands are expanded twice

const Conv2d* convolutionOf(const Node* node) {
    return node ? std::get_if<Conv2d>(&node->op) : nullptr;
}

int64_t mapBytes(const Graph& graph, ValueId value) {
    return graph.shape(value).elementCount() * int64_t{sizeof(float)};
}

int64_t weightBytes(const Graph& graph, const Node* node) {
    return node ? int64_t{graph.shape(inputsOf(node->op)[0]).c} * graph.shape(node->output).c * int64_t{sizeof(float)}
                : 0;
}

const Shape& inputOf(const Graph& graph, const BlockNodes& nodes) {
    return graph.shape(inputsOf((nodes.expand ? nodes.expand : nodes.depthwise)->op)[0]);
}
const Shape& outputOf(const Graph& graph, const BlockNodes& nodes) {
    return graph.shape((nodes.project ? nodes.project : nodes.depthwise)->output);
}

// Floats of one thread's ring and row, each rounded up to whole cache lines.
struct BufferFloats {
    size_t ring, row;
    BufferFloats(const Shape& between, const Conv2d& depthwise, size_t outWidth, bool expands, bool projects) {
        constexpr size_t kLine = kCacheLine / sizeof(float);
        ring = expands ? roundUp(sizeOf(depthwise.kernelH) * sizeOf(between.w) * sizeOf(between.c), kLine) : 0;
        row = projects ? roundUp(outWidth * sizeOf(between.c), kLine) : 0;
    }
};

size_t pointerBytes(size_t kernelH) {
    return roundUp(kernelH * sizeof(const float*), kCacheLine);
}

}  // namespace

std::optional<BlockNodes> asBlock(const Graph& graph, std::span<const Node> nodes) {
    BlockNodes block;
    for (const Node& node : nodes) {
        const Conv2d* const conv = convolutionOf(&node);
        if (!conv) return std::nullopt;
        if (isDepthwise(graph, *conv) && !block.depthwise)
            block.depthwise = &node;
        else if (!isPointwise(*conv) || block.project || (block.expand && !block.depthwise))
            return std::nullopt;
        else
            (block.depthwise ? block.project : block.expand) = &node;
    }
    if (!block.depthwise || nodes.size() < 2) return std::nullopt;
    const ValueId between = block.expand ? block.expand->output : block.depthwise->output;
    const bool isNear = weightBytes(graph, block.expand) + weightBytes(graph, block.project) <= kNearBytes;
    return isNear && mapBytes(graph, between) >= kFarBytes ? std::optional(block) : std::nullopt;
}

KernelNeed InvertedResidualKernel::need(const Graph& graph, const BlockNodes& nodes, const Fusion& fusion,
                                        size_t workers) {
    const Conv2d& depthwise = *convolutionOf(nodes.depthwise);
    const Shape &between = graph.shape(depthwise.input), &after = graph.shape(nodes.depthwise->output);
    const Shape &input = inputOf(graph, nodes), &output = outputOf(graph, nodes);
    const BufferFloats floats(between, depthwise, sizeOf(after.w), nodes.expand, nodes.project);
    KernelNeed need = DepthwiseKernel::need(depthwise, between, after, fusion, workers);
    if (nodes.expand) need.constantBytes += PackedMatrix::bytes(sizeOf(input.c), sizeOf(between.c));
    if (nodes.project) need.constantBytes += PackedMatrix::bytes(sizeOf(after.c), sizeOf(output.c));
    need.scratchBytes =
        DepthwiseKernel::sumBytes(after, fusion) +
        workers * (pointerBytes(sizeOf(depthwise.kernelH)) + (floats.ring + floats.row) * sizeof(float));
    return need;
}

Result<std::unique_ptr<Kernel>> InvertedResidualKernel::make(const Graph& graph, const BlockNodes& nodes,
                                                             const WeightsSource& weights, const Fusion& fusion) {
    const auto makePointwise = [&](const Node& node, Activation last) -> Result<Pointwise> {
        DUNLIN_ASSIGN(const FoldedWeights folded, foldWeightsOfNode(graph, node, weights));
        const Conv2d& conv = *convolutionOf(&node);
        return Pointwise{packedMatrix(folded, 0, sizeOf(conv.outChannels), sizeOf(graph.shape(conv.input).c), 1),
                         conv.activation == Activation::None ? last : conv.activation};
    };
    std::optional<Pointwise> expand, project;
    if (nodes.expand) {
        DUNLIN_ASSIGN(expand, makePointwise(*nodes.expand, Activation::None));
    }
    if (nodes.project) {
        DUNLIN_ASSIGN(project, makePointwise(*nodes.project, fusion.activation));
    }
    const Conv2d& conv = *convolutionOf(nodes.depthwise);
    DUNLIN_ASSIGN(const FoldedWeights folded, foldWeightsOfNode(graph, *nodes.depthwise, weights));
    auto depthwise =
        std::make_unique<DepthwiseKernel>(conv, graph.shape(conv.input), graph.shape(nodes.depthwise->output), folded);
    return std::unique_ptr<Kernel>(new InvertedResidualKernel(
        inputOf(graph, nodes), outputOf(graph, nodes), std::move(expand), std::move(depthwise), sizeOf(conv.kernelH),
        sizeOf(conv.strideH), sizeOf(conv.padding.top), std::move(project), fusion.residual != kNoValue));
}

InvertedResidualKernel::InvertedResidualKernel(const Shape& input, const Shape& output, std::optional<Pointwise> expand,
                                               std::unique_ptr<DepthwiseKernel> depthwise, size_t kernelH,
                                               size_t strideH, size_t top, std::optional<Pointwise> project,
                                               bool hasResidual)
    : input_(input),
      output_(output),
      channels_(expand ? expand->matrix.columns() : sizeOf(input.c)),
      expand_(std::move(expand)),
      depthwise_(std::move(depthwise)),
      kernelH_(kernelH),
      strideH_(strideH),
      top_(top),
      project_(std::move(project)),
      hasResidual_(hasResidual) {}

void InvertedResidualKernel::computeBand(const TileFunctions& tiles, const StripFunctions& strips, const Maps& maps,
                                         size_t firstRow, size_t endRow, const Buffers& buffers) const {
    const size_t width = sizeOf(input_.w), inputFloats = width * sizeOf(input_.c), ringFloats = width * channels_;
    const size_t outWidth = sizeOf(output_.w), outputFloats = outWidth * sizeOf(output_.c);
    const size_t zero = 0;
    const auto multiply = [&](const Pointwise& pointwise, const float* from, const float* added, float* to,
                              size_t pixels) {
        const ProductRows rows = {.input = from,
                                  .inputStride = pointwise.matrix.depth(),
                                  .segmentOffsets = {&zero, 1},
                                  .segmentDepth = pointwise.matrix.depth(),
                                  .residual = added,
                                  .output = to,
                                  .outputStride = pointwise.matrix.columns(),
                                  .next = nullptr,
                                  .count = pixels};
        for (size_t panel = 0; panel < pointwise.matrix.panels(); ++panel)
            pointwise.matrix.multiply(tiles, rows, panel, pointwise.activation);
    };
    const auto ringRow = [&](size_t y) { return buffers.ring + y % kernelH_ * ringFloats; };

    size_t expanded = 0;  // rows before it are there or not needed
    for (size_t row = firstRow; row < endRow; ++row) {
        const size_t end = row * strideH_ + kernelH_;  // of the rows read, in a map with padding
        const size_t endInside = std::min(end - std::min(end, top_), sizeOf(input_.h));
        expanded = std::max(expanded, row * strideH_ - std::min(row * strideH_, top_));
        for (; expand_ && expanded < endInside; ++expanded)
            multiply(*expand_, maps.input + expanded * inputFloats, nullptr, ringRow(expanded), width);
        const auto rowOf = [&](size_t y) -> const float* {
            return expand_ ? ringRow(y) : maps.input + y * inputFloats;
        };
        float* const to = maps.output + row * outputFloats;
        depthwise_->computeRow(strips, row, rowOf, buffers.rows, project_ ? buffers.row : to,
                               maps.sums ? maps.sums + row * channels_ : nullptr);
        if (project_)
            multiply(*project_, buffers.row, maps.residual ? maps.residual + row * outputFloats : nullptr, to,
                     outWidth);
    }
}

void InvertedResidualKernel::run(const Workers& workers, std::span<const float* const> inputs, float* output,
                                 std::byte* scratch) const {
    runWithMean(workers, inputs, output, nullptr, scratch);
}

void InvertedResidualKernel::runWithMean(const Workers& workers, std::span<const float* const> inputs, float* output,
                                         float* mean, std::byte* scratch) const {
    const TileFunctions& tiles = tileFunctions(workers.vectors);
    const StripFunctions strips = depthwise_->functions(workers.vectors);
    const size_t height = sizeOf(output_.h), images = sizeOf(output_.n);
    const size_t bands = workers.count == 1 ? 1 : std::min(height, kBandsAWorker * workers.count);
    const size_t imageInput = sizeOf(input_.h) * sizeOf(input_.w) * sizeOf(input_.c);
    const size_t imageOutput = height * sizeOf(output_.w) * sizeOf(output_.c);
    const BufferFloats floats({1, input_.h, input_.w, static_cast<int>(channels_)},
                              {.kernelH = static_cast<int>(kernelH_)}, sizeOf(output_.w), expand_.has_value(),
                              project_.has_value());
    const size_t workerBytes = pointerBytes(kernelH_) + (floats.ring + floats.row) * sizeof(float);
    const float* const residual = hasResidual_ ? inputs.back() : nullptr;
    float* const sums = mean ? reinterpret_cast<float*>(scratch + workers.count * workerBytes) : nullptr;
    forEachWithWorker(workers, images * bands, [&](size_t job, size_t worker) {
        const size_t image = job / bands, band = job % bands;
        std::byte* const own = scratch + worker * workerBytes;
        auto* const ring = reinterpret_cast<float*>(own + pointerBytes(kernelH_));
        computeBand(tiles, strips,
                    {.input = inputs[0] + image * imageInput,
                     .residual = residual ? residual + image * imageOutput : nullptr,
                     .output = output + image * imageOutput,
                     .sums = sums ? sums + image * height * channels_ : nullptr},
                    band * height / bands, (band + 1) * height / bands,
                    {reinterpret_cast<const float**>(own), ring, ring + floats.ring});
    });
    if (mean) depthwise_->computeMeans(strips, sums, mean);
}

}  // namespace dunlin::cpu
