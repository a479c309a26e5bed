#include "runtime/plan/form_candidates.h"

#include <algorithm>
#include <optional>

#include "runtime/plan/kernels.h"
#include "shaders/include/params.h"

namespace dunlin {
namespace {

uint32_t mostInvocations(const DeviceLimits& limits) {
    return std::min(limits.maxWorkgroupInvocations, limits.maxWorkgroupSize[0]);
}

uint64_t matrixSharedBytes(const KernelForm& form, const MatrixShape& matrix) {
    constexpr uint64_t kSlabGroups = 8, kPadding = 2, kHalfGroupBytes = 8, kFloatBytes = 4;
    const uint64_t subgroups = form.localSize / matrix.subgroupSize;
    const MatrixTile tile = matrixTile(form, matrix);
    const auto pixels = static_cast<uint64_t>(tile.pixels),
               groups = static_cast<uint64_t>(tile.channels) / kChannelGroup;
    const uint64_t factors = (kSlabGroups + kPadding) * pixels + kChannelGroup * kSlabGroups * (groups + kPadding);
    return kHalfGroupBytes * factors + kFloatBytes * subgroups * matrix.rows * matrix.columns;
}

// Of float32, which takes twice as much as float16; of matrices of float16.
uint64_t pointwiseSharedBytes(const PointwiseCall& call, const KernelForm& form, const MatrixShape& matrix) {
    constexpr uint64_t kSlabGroups = 4, kMomentBytes = 8;
    const uint64_t lanes = form.groupLanes, shareLanes = form.localSize / form.groupLanes;
    switch (form.method) {
        case Method::SharedTiles:
            return kSlabGroups * kFloatGroupBytes * (form.tileX * shareLanes + kChannelGroup * form.tileY * lanes);
        case Method::SplitK: {
            const uint64_t moments = call.normEpsilon ? kMomentBytes * form.tileX : 0;
            return form.localSize * (uint64_t{form.tileX} * form.tileY * kFloatGroupBytes + moments);
        }
        case Method::Matrix:
            return matrixSharedBytes(form, matrix);
        case Method::Registers:
            break;
    }
    return 0;
}

// Shared memory that the kernel takes in this form; the kernels that are left out take none.
uint64_t sharedBytes(const KernelCall& call, const KernelForm& form, const DeviceLimits& limits) {
    constexpr uint64_t kFloatBytes = 4;
    switch (kernelOf(call)) {
        case Kernel::Depthwise:
            return std::get<DepthwiseCall>(call).sums ? form.localSize * kFloatGroupBytes : 0;
        case Kernel::Pool:
        case Kernel::SeparableAttention:
            return form.localSize * kFloatGroupBytes;
        case Kernel::PooledLinear:
            return 2 * form.localSize * kFloatGroupBytes;
        case Kernel::LayerNorm:
        case Kernel::Moments:
            return form.localSize * kFloatBytes;
        case Kernel::Head:
            return 2 * form.localSize * kFloatBytes;
        case Kernel::Attention:
            return form.groupLanes < form.localSize ? form.localSize * (2 * kFloatGroupBytes + 2 * kFloatBytes) : 0;
        case Kernel::Pointwise:
            return pointwiseSharedBytes(std::get<PointwiseCall>(call), form, limits.matrix);
        case Kernel::InvertedResidual:
            return invertedResidualSharedBytes(std::get<InvertedResidualCall>(call), form);
        default:
            return 0;
    }
}

// Wide tiles of wide heads, most of all with shared keys, take software drivers seconds to compile.
bool isQuicklyCompiled(const AttentionCall& call, const KernelForm& form) {
    const int registers = form.tileX * channelGroups(call.headChannels);
    const int most = form.localSize != form.groupLanes ? 16 : form.load == LoadPath::Storage ? 32 : 64;
    return registers <= most;
}

// Every strip of four pixels is taken by equally many invocations, which hold few enough sums.
bool isPossibleProjection(const InvertedResidualCall& call, const KernelForm& form) {
    const uint32_t strips = uint32_t{form.tileX} * form.tileY / 4;
    return form.localSize % strips == 0 && projectedGroups(channelGroups(call.out.shape.c), form).has_value();
}

// The most that is computed in vain: as much again as is asked for.
bool fillsHalfOfItsMatrices(const PointwiseCall& call, const Extent& extent, const KernelForm& form,
                            const MatrixShape& matrix) {
    const MatrixTile tile = matrixTile(form, matrix);
    // Tiles of a gated layer do not cross images.
    const bool isPerImage = call.gate || call.imageMoments;
    const int64_t images = isPerImage ? 1 : extent.images, channels = call.out.shape.c;
    const int64_t pixels = int64_t{extent.rows} * call.out.shape.w * images;
    return 2 * pixels * channels >= roundUp(pixels, tile.pixels) * roundUp(channels, tile.channels) &&
           2 * call.in.shape.c >= static_cast<int>(matrix.inner);
}

// Whether the kernel can be run so at all. The ranges and workgroups of its dispatch are not looked at.
bool isPossible(const KernelCall& call, const KernelForm& form, const DeviceLimits& limits) {
    if (form.groupLanes == 0 || form.localSize > mostInvocations(limits)) return false;
    if (sharedBytes(call, form, limits) > limits.sharedMemoryBytes) return false;
    if (const auto* block = std::get_if<InvertedResidualCall>(&call))
        return !block->projectWeights || isPossibleProjection(*block, form);
    if (form.localSize % form.groupLanes != 0) return false;
    if (const auto* squeeze = std::get_if<SqueezeExciteCall>(&call))
        return squeezeExciteChunk(limits, form.localSize, squeeze->reducedChannels) > 0;
    return true;
}

using Workgroup = std::array<uint32_t, 2>;  // invocations, group lanes

// Other workgroups than the default's, where they may pay.
std::vector<Workgroup> otherWorkgroups(const KernelCall& call, const KernelForm& usual) {
    const uint32_t local = usual.localSize, lanes = usual.groupLanes;
    switch (kernelOf(call)) {
        case Kernel::Conv2d:
        case Kernel::Pointwise:
            return {{16, 1}, {32, 1}, {64, 1}, {128, 1}, {256, 1}};
        case Kernel::Depthwise:
            if (!std::get<DepthwiseCall>(call).sums) return {{32, 1}, {128, 1}, {256, 1}};
            return {{local, lanes / 2}, {local, lanes * 2}, {2 * local, lanes}};
        case Kernel::SqueezeExcite:
        case Kernel::Head:
        case Kernel::Moments:
            return {{16, 1}, {32, 1}, {64, 1}, {128, 1}};
        case Kernel::Pool:
        case Kernel::SeparableAttention:
        case Kernel::LayerNorm:
            return {{local, lanes / 2}, {local, lanes * 2}, {2 * local, lanes}};
        case Kernel::Attention:
            return {{local, local / 2}, {local, local / 4}, {2 * local, 2 * local}};
        case Kernel::PooledLinear:
            return {{local, lanes / 2}, {local, lanes * 2}, {2 * local, lanes}, {local / 2, lanes}};
        case Kernel::InvertedResidual:
            return {{local, 2}, {local, 4}, {local, 8}, {2 * local, lanes}};
        case Kernel::Preprocess:
            return {{local, 1}, {local, 2}, {local, 4}, {local, 8}, {128, lanes}};
        case Kernel::Export:
        case Kernel::EmbedTokens:
        case Kernel::Resize:
        case Kernel::MaxPool:
            return {{128, 1}, {256, 1}};
    }
    return {};
}

// The form of an inverted residual with this tile and the most channels at a time that fit.
std::optional<KernelForm> fittingBlock(const KernelCall& call, KernelForm form, const DeviceLimits& limits) {
    for (const uint32_t slice : {8u, 4u, 2u}) {
        for (const uint32_t local : {form.localSize, 64u, 128u}) {
            const KernelForm fitting = {form.load, form.tileX, form.tileY, local, slice};
            if (isPossible(call, fitting, limits)) return fitting;
        }
    }
    return std::nullopt;
}

// A squeezing kernel's partial sums: those of this dispatch alone.
template <typename Call, typename CountPartials>
void fitSums(Call& call, const Extent& extent, const KernelForm& form, CountPartials countPartials) {
    call.partialBegin = 0;
    if (call.sums) call.sums->shape.w = countPartials(call.out.shape, extent.rows, form);
}

class Candidates {
  public:
    explicit Candidates(const FormProblem& problem)
        : call_(problem.call),
          extent_(problem.extent),
          default_(problem.defaultForm),
          precision_(problem.precision),
          builder_(problem.limits, problem.precision),
          limits_(problem.limits) {}

    std::vector<KernelForm> run() {
        add(default_);
        addTiles();
        for (const Workgroup& workgroup : otherWorkgroups(call_, default_))
            add({default_.load, default_.tileX, default_.tileY, workgroup[0], workgroup[1]});
        addMethods();
        return std::move(forms_);
    }

  private:
    void addTiles() {
        const KernelRow& kernel = row(kernelOf(call_));
        for (const auto& tile : kernel.tiles) {
            for (const LoadPath load : {LoadPath::Texel, LoadPath::Storage}) {
                if (load == LoadPath::Texel && !hasLoadPath(kernel)) continue;
                KernelForm form = {load, tile[0], tile[1], default_.localSize, default_.groupLanes};
                if (kernelOf(call_) == Kernel::InvertedResidual) {
                    const std::optional<KernelForm> block = fittingBlock(call_, form, limits_);
                    if (!block) continue;
                    form = *block;
                }
                add(form);
            }
        }
    }

    // Not on software drivers: there shared tiles took four to eight times as long where it was measured, split-K
    // three.
    void addMethods() {
        if (limits_.family == DeviceFamily::CpuDriver) return;
        for (const MethodRow& way : row(kernelOf(call_)).methods) {
            for (const LoadPath load : {LoadPath::Texel, LoadPath::Storage}) {
                if (const std::optional<KernelForm> form = formOf(way, load, precision_, limits_)) addMethod(*form);
            }
        }
    }

    void addMethod(const KernelForm& form) {
        if (form.method == Method::Matrix) {
            const auto& call = std::get<PointwiseCall>(call_);
            if (call.normEpsilon || !fillsHalfOfItsMatrices(call, extent_, form, limits_.matrix)) return;
        }
        add(form);
    }

    // Where the device takes the form. One that is there already is not added again.
    void add(KernelForm form) {
        if (!hasLoadPath(row(kernelOf(call_)))) form.load = LoadPath::Storage;
        if (!isPossible(call_, form, limits_)) return;
        const auto* attention = std::get_if<AttentionCall>(&call_);
        const bool isSlow = limits_.family == DeviceFamily::CpuDriver && attention;
        if (isSlow && !forms_.empty() && !isQuicklyCompiled(*attention, form)) return;
        if (std::ranges::find(forms_, form) != forms_.end()) return;
        const Dispatch dispatch = builder_.build(inFormAlone(call_, form, extent_), form, extent_);
        if (dispatchFits(dispatch, limits_)) forms_.push_back(form);
    }

    const KernelCall& call_;
    const Extent& extent_;
    const KernelForm& default_;
    Precision precision_;
    DispatchBuilder builder_;
    const DeviceLimits& limits_;
    std::vector<KernelForm> forms_;
};

}  // namespace

std::optional<KernelForm> formOf(const MethodRow& way, LoadPath load, Precision precision, const DeviceLimits& limits) {
    if (!isCompiled(way.method, precision, load)) return std::nullopt;
    KernelForm form = {load, way.tile[0], way.tile[1], way.localSize, way.groupLanes, way.method};
    if (way.method == Method::Matrix) form.localSize *= limits.matrix.subgroupSize;  // 0: the device has no matrices
    return form.localSize > 0 ? std::optional(form) : std::nullopt;
}

KernelCall inFormAlone(const KernelCall& call, const KernelForm& form, const Extent& extent) {
    KernelCall formed = call;
    if (auto* depthwise = std::get_if<DepthwiseCall>(&formed))
        fitSums(*depthwise, extent, form, DispatchBuilder::partialCount);
    if (auto* block = std::get_if<InvertedResidualCall>(&formed))
        fitSums(*block, extent, form, DispatchBuilder::invertedResidualPartials);
    return formed;
}

std::vector<KernelForm> formCandidates(const FormProblem& problem) {
    return Candidates(problem).run();
}

FormChoice chooseForm(const FormTable& table, const std::string& key, const FormProblem& problem) {
    const auto named = table.forms.find(key);
    if (named == table.forms.end()) return {problem.defaultForm, {}};
    const Kernel kernel = kernelOf(problem.call);
    if (formName(kernel, problem.defaultForm) == named->second) return {problem.defaultForm, {}};
    for (KernelForm form : formCandidates(problem)) {
        const bool isOtherSource = kernel == Kernel::Preprocess && form.tileX != problem.defaultForm.tileX;
        if (isOtherSource || formName(kernel, form) != named->second) continue;
        if (!hasLoadPath(row(kernel))) form.load = problem.defaultForm.load;  // equal pipelines stay one
        return {form, {}};
    }
    return {problem.defaultForm, "the form '" + named->second + "' of " + key + " is none that this device can run"};
}

std::string formName(Kernel kernel, const KernelForm& form) {
    constexpr uint32_t kUsualLocal = 64;
    const KernelRow& its = row(kernel);
    std::string text;
    const auto append = [&](const std::string& part) { text += (text.empty() ? "" : "-") + part; };
    if (kernel == Kernel::Preprocess) {
        append(sourceName(form.tileX));
    } else if (its.tiles.size() > 1) {
        append(tileName(form.method) + std::to_string(form.tileX) + "x" + std::to_string(form.tileY));
    }
    if (hasLoadPath(its)) append(form.load == LoadPath::Texel ? "texel" : "storage");
    if (form.localSize != kUsualLocal) append("local" + std::to_string(form.localSize));
    if (form.groupLanes != 1) append("lanes" + std::to_string(form.groupLanes));
    return text;
}

}  // namespace dunlin
