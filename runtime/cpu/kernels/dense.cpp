#include "runtime/cpu/kernels/dense.h"

#include <algorithm>
#include <utility>

#include "runtime/cpu/kernels/math.h"

namespace dunlin::cpu {
namespace {

// What a job reads again and again is to stay in a cache of the second level, of 512 KiB or more.
constexpr size_t kCachedFloats = 64 * 1024;
// Weights that stay in a cache of the first level while pixels pass by.
constexpr size_t kNearFloats = 6 * 1024;
constexpr size_t kNearTiles = 4;  // whose pixels stay there with them
// Multiply-adds that are worth handing to another thread: some microseconds.
constexpr size_t kJobProducts = 200 * 1000;
constexpr size_t kFetchedAheadBytes = 4096;  // some hundred nanoseconds of weights
constexpr size_t kJobsAWorker = 4;           // so that threads end at about the same time

uintptr_t addressOf(const float* floats) {
    return reinterpret_cast<uintptr_t>(floats);
}

}  // namespace

Conv2d asConvolution(const Linear& linear) {
    return {.input = linear.input, .outChannels = linear.outFeatures, .activation = linear.activation};
}

PackedMatrix::PackedMatrix(size_t depth, size_t columns)
    : depth_(depth),
      columns_(columns),
      weights_(alignedFloats(depth * roundUp(columns, kHalfPanel))),
      bias_(alignedFloats(roundUp(columns, kHalfPanel))) {}

void PackedMatrix::set(size_t k, size_t column, float weight) {
    const auto setIn = [&](size_t panel) {
        weights_[panel * kPanelColumns * depth_ + k * panelStride(panel) + column - firstColumn(panel)] = weight;
    };
    setIn(column / kPanelColumns);
    if (column >= firstColumn(panels() - 1)) setIn(panels() - 1);
}

PackedMatrix packedMatrix(const FoldedWeights& weights, size_t first, size_t columns, size_t inputs, size_t area) {
    PackedMatrix matrix(inputs * area, columns);
    for (size_t column = 0; column < columns; ++column) {
        const float* const filter = weights.weight.data() + (first + column) * inputs * area;
        matrix.setBias(column, weights.bias[first + column]);
        for (size_t tap = 0; tap < area; ++tap)
            for (size_t c = 0; c < inputs; ++c) matrix.set(tap * inputs + c, column, filter[c * area + tap]);
    }
    return matrix;
}

void PackedMatrix::multiply(const TileFunctions& tiles, const ProductRows& rows, size_t panel,
                            Activation activation) const {
    const size_t first = panel * kPanelColumns, stride = panelStride(panel);
    const size_t end = std::min(columns_, first + kPanelColumns);
    // Tiles of two heights that differ by one: the short ones first. Divisions take as long as a row of sums.
    const size_t tileCount = rows.count <= tiles.rows ? 1 : divideUp(rows.count, tiles.rows);
    const size_t height = tileCount == 1 ? rows.count : rows.count / tileCount;
    const size_t higher = rows.count - height * tileCount;
    // What comes next is fetched while tiles are computed: the next rows, the next panel or, where a panel has but one
    // row of tiles, what follows in it.
    const float* const own = weights_.get() + first * depth_;
    const size_t rowBytes = stride * sizeof(float);
    const uintptr_t prefetch = rows.next        ? addressOf(rows.next)
                               : tileCount == 1 ? addressOf(own) + kFetchedAheadBytes
                                                : addressOf(own) + rowBytes * depth_;
    const size_t prefetchStep = rows.next ? kCacheLine : tileCount == 1 ? rowBytes : stride / tileCount * sizeof(float);
    for (size_t column = first, width; column < end; column += width) {
        width = tiles.columnsFor(end - column);
        while (width > columns_ && width > tiles.narrow) width /= 2;
        // A tile that would reach past the last column begins earlier.
        const size_t start = std::min(column, columns_ - std::min(width, columns_));
        const ProductPart part = {.activation = activation,
                                  .column = start,
                                  .width = width,
                                  .valid = std::min(width, columns_ - start),
                                  .weights = own + (start - firstColumn(panel)),
                                  .weightStride = stride,
                                  .prefetch = prefetch,
                                  .prefetchStep = prefetchStep};
        multiplyPart(tiles, rows, part, 0, tileCount - higher, height);
        if (higher > 0) multiplyPart(tiles, rows, part, (tileCount - higher) * height, higher, height + 1);
    }
}

// `count` tiles of some columns.
void PackedMatrix::multiplyPart(const TileFunctions& tiles, const ProductRows& rows, const ProductPart& part,
                                size_t firstRow, size_t count, size_t height) const {
    const TileFunction compute = tiles.function(height, part.width);
    const size_t offset = firstRow * rows.outputStride + part.column;
    Tile tile = {.count = count,
                 .input = rows.input + firstRow * rows.inputStride,
                 .inputStride = rows.inputStride,
                 .segmentOffsets = rows.segmentOffsets.data(),
                 .segments = rows.segmentOffsets.size(),
                 .segmentDepth = rows.segmentDepth,
                 .weights = part.weights,
                 .weightStride = part.weightStride,
                 .bias = bias_.get() + part.column,
                 .residual = rows.residual ? rows.residual + offset : nullptr,
                 .output = rows.output + offset,
                 .outputStride = rows.outputStride,
                 .prefetch = part.prefetch + firstRow / height * part.prefetchStep * depth_,
                 .prefetchStep = part.prefetchStep,
                 .activation = part.activation};
    const bool isLater = part.activation != Activation::None && !isAppliedInTiles(part.activation);
    const bool isWhole = part.valid == part.width;
    if (isWhole && !isLater) return compute(tile);

    // One at a time, while it is near.
    alignas(kCacheLine) float buffer[kMaxTileRows * kPanelColumns];
    const float* residual = tile.residual;
    float* output = tile.output;
    tile.count = 1;
    if (isLater) tile.activation = Activation::None;
    for (size_t index = 0; index < count; ++index) {
        if (isWhole) {
            tile.output = output;
            tile.residual = residual;
            compute(tile);
            tiles.activate(part.activation, output, output, rows.outputStride, height, part.width);
        } else {
            tile.output = buffer;
            tile.outputStride = part.width;
            tile.residual = nullptr;
            tile.activation = Activation::None;
            compute(tile);
            tiles.finish(part.activation, buffer, part.width, residual, output, rows.outputStride, height, part.valid);
        }
        tile.input += height * rows.inputStride;
        tile.prefetch += part.prefetchStep * depth_;
        output += height * rows.outputStride;
        if (residual) residual += height * rows.outputStride;
    }
}

DenseKernel::Geometry::Geometry(const Conv2d& conv, const Shape& input, const Shape& output, const Fusion& fusion)
    : images(sizeOf(input.n)),
      inputHeight(sizeOf(input.h)),
      inputWidth(sizeOf(input.w)),
      channels(sizeOf(input.c)),
      height(sizeOf(output.h)),
      width(sizeOf(output.w)),
      outChannels(sizeOf(output.c)),
      kernelH(sizeOf(conv.kernelH)),
      kernelW(sizeOf(conv.kernelW)),
      strideH(sizeOf(conv.strideH)),
      strideW(sizeOf(conv.strideW)),
      top(sizeOf(conv.padding.top)),
      left(sizeOf(conv.padding.left)),
      groups(sizeOf(conv.groups)),
      isPointwise(kernelH * kernelW * strideH * strideW == 1 && input.h == output.h && input.w == output.w),
      isCopied(!isPointwise && conv.padding != Padding()),
      isGated(fusion.gate != kNoValue),
      hasResidual(fusion.residual != kNoValue) {
    if (!isPointwise) return;
    width *= height;
    if (!isGated) width *= std::exchange(images, 1);
    height = 1;
}

DenseKernel::Blocks DenseKernel::blocksOf(const Geometry& geometry, size_t workers) {
    // A strip is what is not cut further: pixels of a tile, or a row of pixels. Fewer pixels than a tile has count as a
    // whole one, because their weights take as long to arrive.
    const bool isPointwise = geometry.isPointwise;
    const size_t stripPixels = isPointwise ? kMaxTileRows : geometry.width;
    const size_t strips = isPointwise ? divideUp(geometry.width, kMaxTileRows) : geometry.height;
    const size_t columns = geometry.outChannels / geometry.groups;
    // The last two together where they write the same columns.
    const size_t panels = divideUp(columns, kPanelColumns) - (PackedMatrix::hasOverlap(columns) ? 1 : 0);
    const size_t inputFloats =
        isPointwise ? stripPixels * geometry.channels : geometry.strideH * geometry.copiedWidth() * geometry.channels;
    const size_t stripFloats = inputFloats + stripPixels * geometry.outChannels;
    const size_t weightFloats = geometry.depth() * geometry.outChannels;
    const size_t stripProducts = stripPixels * weightFloats;
    const bool hasManyWeights = weightFloats > kCachedFloats && geometry.groups == 1;

    // With many weights, which are read anew for each block of pixels, as few blocks as possible.
    const size_t cachedStrips = (hasManyWeights ? 4 : 2) * kCachedFloats / stripFloats;
    size_t jobStrips = std::clamp<size_t>(cachedStrips, 1, strips), jobPanels = panels;
    const size_t wanted = workers == 1 ? 1 : kJobsAWorker * workers;
    const auto isTooFew = [&] {
        return divideUp(strips, jobStrips) * divideUp(panels, jobPanels) * geometry.images < wanted &&
               stripProducts * jobStrips / panels * jobPanels > 2 * kJobProducts;
    };
    const auto cutStrips = [&] {
        while (isTooFew() && jobStrips > 1) jobStrips = divideUp(jobStrips, size_t{2});
    };
    if (!hasManyWeights) cutStrips();
    while (isTooFew() && jobPanels > 1 && geometry.groups == 1) jobPanels = divideUp(jobPanels, size_t{2});
    cutStrips();

    Blocks blocks = {.pixels = isPointwise ? jobStrips * stripPixels : stripPixels,
                     .rows = isPointwise ? 1 : jobStrips,
                     .panels = jobPanels};
    blocks.pixelBlocks = divideUp(geometry.width, blocks.pixels);
    blocks.rowBlocks = divideUp(geometry.height, blocks.rows);
    blocks.panelBlocks = divideUp(panels, jobPanels);
    blocks.jobs = geometry.images * blocks.pixelBlocks * blocks.rowBlocks * blocks.panelBlocks;
    if (geometry.isGated)
        blocks.copiedFloats = std::min(blocks.pixels, geometry.width) * geometry.channels;
    else if (geometry.isCopied)
        blocks.copiedFloats =
            ((blocks.rows - 1) * geometry.strideH + geometry.kernelH) * geometry.copiedWidth() * geometry.channels;
    blocks.copiedFloats = roundUp(blocks.copiedFloats, kCacheLine / sizeof(float));
    return blocks;
}

KernelNeed DenseKernel::need(const Conv2d& conv, const Shape& input, const Shape& output, const Fusion& fusion,
                             size_t workers) {
    const Geometry geometry(conv, input, output, fusion);
    const Blocks blocks = blocksOf(geometry, workers);
    return {.constantBytes =
                geometry.groups * PackedMatrix::bytes(geometry.depth(), geometry.outChannels / geometry.groups),
            .scratchBytes = workers * blocks.copiedFloats * sizeof(float)};
}

DenseKernel::DenseKernel(const Conv2d& conv, const Shape& input, const Shape& output, const FoldedWeights& weights,
                         const Fusion& fusion)
    : geometry_(conv, input, output, fusion),
      activation_(conv.activation == Activation::None ? fusion.activation : conv.activation) {
    const Geometry& g = geometry_;
    const size_t area = g.kernelH * g.kernelW, groupInputs = g.channels / g.groups;
    const size_t groupOutputs = g.outChannels / g.groups;
    for (size_t group = 0; group < g.groups; ++group)
        groups_.push_back(packedMatrix(weights, group * groupOutputs, groupOutputs, groupInputs, area));

    // Without groups the window's rows are contiguous; with them, its pixels.
    const size_t rowFloats = (g.isCopied ? g.copiedWidth() : g.inputWidth) * g.channels;
    for (size_t y = 0; y < g.kernelH; ++y)
        for (size_t x = 0; x < (g.groups == 1 ? 1 : g.kernelW); ++x)
            segmentOffsets_.push_back(y * rowFloats + x * g.channels);
    segmentDepth_ = g.depth() / segmentOffsets_.size();
}

// The pixels of an image times its gate.
template <typename Tag>
DUNLIN_INLINE inline void DenseKernel::copyGated(Tag, const Maps& maps, size_t image, size_t firstPixel, size_t count,
                                                 float* copy) const {
    constexpr size_t kFloats = Tag::kFloats;
    const size_t channels = geometry_.channels;
    const float* const gate = maps.gate + image * channels;
    const float* from = maps.input + (image * geometry_.width + firstPixel) * channels;
    for (size_t pixel = 0; pixel < count; ++pixel, from += channels, copy += channels) {
        size_t c = 0;
        for (; c + kFloats <= channels; c += kFloats) {
            typename Tag::Vector value, factor;
            Tag::load(value, from + c);
            Tag::load(factor, gate + c);
            value *= factor;
            Tag::store(copy + c, value);
        }
        for (; c < channels; ++c) copy[c] = from[c] * gate[c];
    }
}

// Rows of one image with zeros around them. `firstRow`: of the outputs that are computed from them.
void DenseKernel::copyPadded(const float* input, size_t firstRow, size_t rows, float* copy) const {
    const Geometry& g = geometry_;
    const size_t inside = std::min(g.inputWidth, g.copiedWidth() - std::min(g.left, g.copiedWidth()));
    const size_t before = std::min(g.left, g.copiedWidth()) * g.channels;
    const size_t after = g.copiedWidth() * g.channels - before - inside * g.channels;
    for (size_t row = 0; row < (rows - 1) * g.strideH + g.kernelH; ++row) {
        const size_t y = firstRow * g.strideH + row - g.top;  // beyond the height where it is above the map
        if (y >= g.inputHeight) {
            copy = std::fill_n(copy, g.copiedWidth() * g.channels, 0.0f);
            continue;
        }
        copy = std::fill_n(copy, before, 0.0f);
        copy = std::copy_n(input + y * g.inputWidth * g.channels, inside * g.channels, copy);
        copy = std::fill_n(copy, after, 0.0f);
    }
}

template <typename Tag>
DUNLIN_INLINE inline void DenseKernel::runJob(Tag tag, const TileFunctions& tiles, const Blocks& blocks,
                                              const Maps& maps, size_t job, float* copy) const {
    const Geometry& g = geometry_;
    const size_t panelBlock = job % blocks.panelBlocks, pixelBlock = job / blocks.panelBlocks % blocks.pixelBlocks;
    const size_t rowBlock = job / blocks.panelBlocks / blocks.pixelBlocks % blocks.rowBlocks;
    const size_t image = job / blocks.panelBlocks / blocks.pixelBlocks / blocks.rowBlocks;
    const size_t firstPixel = pixelBlock * blocks.pixels, pixels = std::min(blocks.pixels, g.width - firstPixel);
    const size_t firstRow = rowBlock * blocks.rows, rows = std::min(blocks.rows, g.height - firstRow);

    const float* input;
    size_t rowFloats = g.inputWidth * g.channels;
    if (g.isGated) {
        copyGated(tag, maps, image, firstPixel, pixels, copy);
        input = copy;
    } else if (g.isCopied) {
        copyPadded(maps.input + image * g.inputHeight * rowFloats, firstRow, rows, copy);
        input = copy;
        rowFloats = g.copiedWidth() * g.channels;
    } else {
        const size_t pixel = g.isPointwise ? image * g.width + firstPixel
                                           : (image * g.inputHeight + firstRow * g.strideH) * g.inputWidth;
        input = maps.input + pixel * g.channels;
    }

    const size_t firstOutput = ((image * g.height + firstRow) * g.width + firstPixel) * g.outChannels;
    const size_t groupInputs = g.channels / g.groups, groupOutputs = g.outChannels / g.groups;
    const size_t firstPanel = panelBlock * blocks.panels;
    const bool isLast = panelBlock + 1 == blocks.panelBlocks;
    const size_t lastPanel = isLast ? groups_.front().panels() : firstPanel + blocks.panels;
    // Few weights stay where they are while the pixels pass by, some at a time; many pass by the pixels.
    const bool hasFewWeights = g.depth() * g.outChannels <= kNearFloats;
    const size_t step = g.isPointwise && hasFewWeights ? kNearTiles * tiles.rows : pixels;
    for (size_t group = 0; group < g.groups; ++group)
        for (size_t start = 0; start < pixels; start += step)
            for (size_t panel = firstPanel; panel < lastPanel; ++panel)
                for (size_t row = 0; row < rows; ++row) {
                    const size_t offset = firstOutput + (row * g.width + start) * g.outChannels + group * groupOutputs;
                    const bool hasNext = start + step < pixels && panel == firstPanel;
                    const ProductRows product = {.input = input + row * g.strideH * rowFloats +
                                                          start * g.strideW * g.channels + group * groupInputs,
                                                 .inputStride = g.strideW * g.channels,
                                                 .segmentOffsets = segmentOffsets_,
                                                 .segmentDepth = segmentDepth_,
                                                 .residual = maps.residual ? maps.residual + offset : nullptr,
                                                 .output = maps.output + offset,
                                                 .outputStride = g.outChannels,
                                                 .next = hasNext ? input + (start + step) * g.channels : nullptr,
                                                 .count = std::min(step, pixels - start)};
                    groups_[group].multiply(tiles, product, panel, activation_);
                }
}

void DenseKernel::run(const Workers& workers, std::span<const float* const> inputs, float* output,
                      std::byte* scratch) const {
    const Maps maps = {.input = inputs[0],
                       .gate = geometry_.isGated ? inputs[1] : nullptr,
                       .residual = geometry_.hasResidual ? inputs.back() : nullptr,
                       .output = output};
    const Blocks blocks = blocksOf(geometry_, workers.count);
    const TileFunctions& tiles = tileFunctions(workers.vectors);
    auto* const copies = reinterpret_cast<float*>(scratch);
    forEachWithWorker(workers, blocks.jobs, [=, &tiles, this](size_t job, size_t worker, auto tag) DUNLIN_INLINE {
        runJob(tag, tiles, blocks, maps, job, copies + worker * blocks.copiedFloats);
    });
}

}  // namespace dunlin::cpu
