// formsOf: what a kernel could be run as.
#include <algorithm>
#include <bit>
#include <optional>

#include "runtime/plan/kernels.h"
#include "runtime/tuning/kernel_case.h"
#include "shaders/include/params.h"

namespace dunlin::tuning {
namespace {

constexpr uint32_t kFloatGroupBytes = 16;
// Of preprocess, whose tiles are its kinds of source: pixels in a buffer, as sessions of the command line have them.
constexpr uint8_t kUsualSource = params::kSourcePixels;
constexpr const char* kSourceNames[] = {"image", "pixels", "tensor"};

uint32_t mostInvocations(const DeviceLimits& limits) {
    return std::min(limits.maxWorkgroupInvocations, limits.maxWorkgroupSize[0]);
}

// Shared memory that the kernel takes in this form; the kernels that are left out take none.
uint64_t sharedBytes(const KernelCall& call, const KernelForm& form) {
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

// Whether the kernel can be run so at all. The ranges and workgroups of its dispatch are not looked at.
bool isPossible(const KernelCall& call, const KernelForm& form, const DeviceLimits& limits) {
    if (form.groupLanes == 0 || form.localSize > mostInvocations(limits)) return false;
    if (sharedBytes(call, form) > limits.sharedMemoryBytes) return false;
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

// What the lowering chose: kernel_forms.h's form, with the load path that the device's buffers allow.
KernelForm defaultForm(const KernelCase& problem) {
    KernelForm form = problem.origin().form;
    if (problem.kernel() == Kernel::Preprocess) form.tileX = kUsualSource;
    return form;
}

class Forms {
  public:
    Forms(const KernelCase& problem, const DeviceLimits& limits)
        : problem_(problem), limits_(limits), usual_(defaultForm(problem)) {}

    std::vector<FormedCase> run() {
        if (add(usual_)) forms_[0].isDefault = true;
        addTiles(usual_);
        for (const Workgroup& workgroup : otherWorkgroups(call(), usual_))
            add({usual_.load, usual_.tileX, usual_.tileY, workgroup[0], workgroup[1]});
        return std::move(forms_);
    }

    FormedCase inForm(const KernelForm& form) const {
        FormedCase formed;
        formed.form = form;
        formed.variant = variantOf(form);
        formed.id =
            problem_.id + "/" + (problem_.precision() == Precision::Fp16 ? "fp16" : "fp32") + "/" + formed.variant;
        build(formed);
        return formed;
    }

  private:
    const KernelCall& call() const { return problem_.origin().call; }

    void addTiles(const KernelForm& like) {
        const KernelRow& kernel = row(problem_.kernel());
        for (const auto& tile : kernel.tiles) {
            for (const LoadPath load : {LoadPath::Texel, LoadPath::Storage}) {
                if (load == LoadPath::Texel && !hasLoadPath(kernel)) continue;
                KernelForm form = {load, tile[0], tile[1], like.localSize, like.groupLanes};
                if (problem_.kernel() == Kernel::InvertedResidual) {
                    const std::optional<KernelForm> block = fittingBlock(call(), form, limits_);
                    if (!block) continue;
                    form = *block;
                }
                add(form);
            }
        }
    }

    // Whether the device takes the form. One that is there already is not added again.
    bool add(KernelForm form) {
        if (!hasLoadPath(row(problem_.kernel()))) form.load = LoadPath::Storage;
        if (!isPossible(call(), form, limits_)) return false;
        const auto* attention = std::get_if<AttentionCall>(&call());
        const bool isSlow = limits_.family == DeviceFamily::CpuDriver && attention;
        if (isSlow && !forms_.empty() && !isQuicklyCompiled(*attention, form)) return false;
        FormedCase formed = inForm(form);
        if (std::ranges::count(forms_, formed.id, &FormedCase::id) > 0) return true;
        if (!dispatchFits(formed.dispatch, limits_)) return false;
        forms_.push_back(std::move(formed));
        return true;
    }

    // "tile4x1-texel-local16-lanes8".
    std::string variantOf(const KernelForm& form) const {
        const KernelRow& kernel = row(problem_.kernel());
        constexpr uint32_t kUsualLocal = 64;
        std::string text;
        const auto append = [&](const std::string& part) { text += (text.empty() ? "" : "-") + part; };
        if (problem_.kernel() == Kernel::Preprocess) {
            append(kSourceNames[form.tileX]);
        } else if (kernel.tiles.size() > 1) {
            append("tile" + std::to_string(form.tileX) + "x" + std::to_string(form.tileY));
        }
        if (hasLoadPath(kernel)) append(form.load == LoadPath::Texel ? "texel" : "storage");
        if (form.localSize != kUsualLocal) append("local" + std::to_string(form.localSize));
        if (form.groupLanes != 1) append("lanes" + std::to_string(form.groupLanes));
        return text;
    }

    void build(FormedCase& formed) const {
        KernelCall formedCall = call();
        const Extent& extent = problem_.origin().extent;
        if (auto* depthwise = std::get_if<DepthwiseCall>(&formedCall))
            fitSums(*depthwise, extent, formed.form, DispatchBuilder::partialCount);
        if (auto* block = std::get_if<InvertedResidualCall>(&formedCall))
            fitSums(*block, extent, formed.form, DispatchBuilder::invertedResidualPartials);
        formed.dispatch = DispatchBuilder(limits_, problem_.precision()).build(formedCall, formed.form, extent);
        formed.dispatch.name = problem_.network->lowered.program.dispatches[problem_.dispatch].name;
        for (const Binding& binding : formed.dispatch.bindings) {
            if (binding.tensor < 0) continue;
            formed.tensorBytes[binding.tensor] =
                problem_.network->lowered.program.tensors[static_cast<size_t>(binding.tensor)].sizeBytes;
        }
        if (const auto* depthwise = std::get_if<DepthwiseCall>(&formedCall)) setSumsBytes(*depthwise, formed);
        if (const auto* block = std::get_if<InvertedResidualCall>(&formedCall)) setSumsBytes(*block, formed);
    }

    // The partial sums of this dispatch alone.
    template <typename Call, typename CountPartials>
    static void fitSums(Call& call, const Extent& extent, const KernelForm& form, CountPartials countPartials) {
        call.partialBegin = 0;
        if (call.sums) call.sums->shape.w = countPartials(call.out.shape, extent.rows, form);
    }
    template <typename Call>
    static void setSumsBytes(const Call& call, FormedCase& formed) {
        if (!call.sums) return;
        const Shape& shape = call.sums->shape;
        formed.tensorBytes[call.sums->tensor] = static_cast<uint64_t>(shape.pixelCount()) *
                                                static_cast<uint64_t>(channelGroups(shape.c)) * kFloatGroupBytes;
    }

    const KernelCase& problem_;
    const DeviceLimits& limits_;
    KernelForm usual_;
    std::vector<FormedCase> forms_;
};

}  // namespace

std::vector<FormedCase> formsOf(const KernelCase& problem, const DeviceLimits& limits) {
    return Forms(problem, limits).run();
}

FormedCase inForm(const KernelCase& problem, const KernelForm& form, const DeviceLimits& limits) {
    return Forms(problem, limits).inForm(form);
}

}  // namespace dunlin::tuning
