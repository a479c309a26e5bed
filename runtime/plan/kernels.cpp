#include "runtime/plan/kernels.h"

#include <algorithm>
#include <cassert>
#include <numeric>

#include "runtime/plan/embedded_shaders.h"
#include "runtime/plan/inflate.h"
#include "shaders/include/params.h"

namespace dunlin {
namespace {

using Tile = std::array<uint8_t, 2>;
using enum BindingKind;

constexpr Tile kNoTiles[] = {{1, 1}};

constexpr BindingRow kPreprocessBindings[] = {{"source", Image, false}, {"output", BindingKind::Storage, true}};
constexpr Tile kPreprocessSources[] = {
    {params::kSourceImage, 1}, {params::kSourcePixels, 1}, {params::kSourceTensor, 1}};

constexpr BindingRow kConv2dBindings[] = {{"input", BindingKind::Activation, false},
                                          {"weights", Weights, false},
                                          {"other", BindingKind::Activation, false},
                                          {"output", BindingKind::Storage, true}};
constexpr ConstantRow kConv2dConstants[] = {
    {"activation", ConstantKind::Activation}, {"other", ConstantKind::Option},    {"kernel_h", ConstantKind::Number},
    {"kernel_w", ConstantKind::Number},       {"stride_h", ConstantKind::Number}, {"stride_w", ConstantKind::Number},
    {"norm", ConstantKind::Option},           {"colours", ConstantKind::Flag}};
constexpr Tile kConv2dTiles[] = {{1, 1}, {4, 1}, {8, 2}};

constexpr BindingRow kPointwiseBindings[] = {{"input", BindingKind::Activation, false},
                                             {"weights", Weights, false},
                                             {"residual", BindingKind::Activation, false},
                                             {"gate", TexelNative, false},
                                             {"output", BindingKind::Storage, true}};
constexpr ConstantRow kPointwiseConstants[] = {
    {"activation", ConstantKind::Activation}, {"residual", ConstantKind::Option}, {"gate", ConstantKind::Option},
    {"norm", ConstantKind::Option},           {"rows", ConstantKind::Count},      {"columns", ConstantKind::Count},
    {"inner", ConstantKind::Count},           {"subgroup", ConstantKind::Count}};
constexpr Tile kPointwiseTiles[] = {{1, 1}, {4, 1}, {4, 2}, {8, 2}, {8, 4}};

// 32 and 64 pixels and channels a workgroup; 8 to 32 shares, of tiles that reuse each load or of single outputs. Of
// matrices of 16x16: 64x64, 64x32 and 32x32 pixels and channels.
constexpr MethodRow kPointwiseMethods[] = {{Method::SharedTiles, {4, 1}, 64, 8}, {Method::SharedTiles, {4, 2}, 128, 8},
                                           {Method::SplitK, {4, 1}, 64, 8},      {Method::SplitK, {4, 1}, 64, 4},
                                           {Method::SplitK, {1, 1}, 64, 8},      {Method::SplitK, {1, 1}, 64, 4},
                                           {Method::SplitK, {1, 1}, 64, 2},      {Method::Matrix, {2, 2}, 4, 2},
                                           {Method::Matrix, {2, 2}, 2, 1},       {Method::Matrix, {2, 2}, 1, 1}};

constexpr BindingRow kDepthwiseBindings[] = {{"input", BindingKind::Activation, false},
                                             {"weights", Weights, false},
                                             {"output", BindingKind::Storage, true},
                                             {"sums", BindingKind::Storage, true}};
constexpr ConstantRow kDepthwiseConstants[] = {
    {"activation", ConstantKind::Activation}, {"squeeze", ConstantKind::Flag},    {"kernel_h", ConstantKind::Number},
    {"kernel_w", ConstantKind::Number},       {"stride_h", ConstantKind::Number}, {"stride_w", ConstantKind::Number}};
constexpr Tile kDepthwiseTiles[] = {{1, 1}, {4, 1}, {2, 2}, {4, 2}};

constexpr BindingRow kSqueezeExciteBindings[] = {{"sums", BindingKind::Storage, false},
                                                 {"reduce_weights", Weights, false},
                                                 {"expand_weights", Weights, false},
                                                 {"gate", BindingKind::Storage, true}};
constexpr ConstantRow kSqueezeExciteConstants[] = {{"reduce_activation", ConstantKind::Activation},
                                                   {"gate_activation", ConstantKind::Activation},
                                                   {"max_groups", ConstantKind::Number},
                                                   {"max_reduced_groups", ConstantKind::Number}};

// pool, head, export and others: from one map to one buffer.
constexpr BindingRow kInOutBindings[] = {{"input", BindingKind::Activation, false},
                                         {"output", BindingKind::Storage, true}};

constexpr BindingRow kAttentionBindings[] = {
    {"input", BindingKind::Activation, false}, {"constants", Weights, false}, {"output", BindingKind::Storage, true}};
constexpr ConstantRow kAttentionConstants[] = {
    {"head_groups", ConstantKind::Number}, {"windows", ConstantKind::Flag}, {"padding", ConstantKind::Flag}};
constexpr Tile kAttentionTiles[] = {{1, 1}, {4, 1}};

constexpr BindingRow kLayerNormBindings[] = {{"input", BindingKind::Activation, false},
                                             {"weights", Weights, false},
                                             {"moments", TexelNative, false},
                                             {"output", BindingKind::Storage, true}};
constexpr ConstantRow kLayerNormConstants[] = {{"moments", ConstantKind::Flag}};

constexpr BindingRow kEmbedTokensBindings[] = {
    {"input", BindingKind::Activation, false}, {"constants", Weights, false}, {"output", BindingKind::Storage, true}};

constexpr BindingRow kPooledLinearBindings[] = {
    {"input", BindingKind::Activation, false}, {"weights", Weights, false}, {"output", BindingKind::Storage, true}};
constexpr ConstantRow kPooledLinearConstants[] = {{"activation", ConstantKind::Activation}};
constexpr Tile kPooledLinearTiles[] = {{1, 1}, {1, 4}};
// Texels all: with both storage buffers for results, a device that allows only four of them is enough.
constexpr BindingRow kInvertedResidualBindings[] = {{"input", TexelNative, false},
                                                    {"first_weights", TexelNative, false},
                                                    {"depthwise_weights", TexelNative, false},
                                                    {"project_weights", TexelNative, false},
                                                    {"residual", TexelNative, false},
                                                    {"output", BindingKind::Storage, true},
                                                    {"sums", BindingKind::Storage, true}};
constexpr ConstantRow kInvertedResidualConstants[] = {{"activation", ConstantKind::Activation},
                                                      {"squeeze", ConstantKind::Flag},
                                                      {"kernel_h", ConstantKind::Number},
                                                      {"kernel_w", ConstantKind::Number},
                                                      {"stride_h", ConstantKind::Number},
                                                      {"stride_w", ConstantKind::Number},
                                                      {"first_activation", ConstantKind::Activation},
                                                      {"first_kernel_h", ConstantKind::Number},
                                                      {"first_kernel_w", ConstantKind::Number},
                                                      {"first_stride_h", ConstantKind::Number},
                                                      {"first_stride_w", ConstantKind::Number},
                                                      {"project", ConstantKind::Option},
                                                      {"project_activation", ConstantKind::Activation},
                                                      {"residual", ConstantKind::Flag}};
constexpr Tile kInvertedResidualTiles[] = {{4, 4}, {8, 4}, {8, 8}};

// In the order of enum Kernel.
constexpr KernelRow kTable[] = {
    {Kernel::Preprocess, "preprocess", kPreprocessBindings, sizeof(params::PreprocessParams), {}, kPreprocessSources},
    {Kernel::Conv2d, "conv2d", kConv2dBindings, sizeof(params::Conv2dParams), kConv2dConstants, kConv2dTiles},
    {Kernel::Pointwise, "pointwise", kPointwiseBindings, sizeof(params::PointwiseParams), kPointwiseConstants,
     kPointwiseTiles, kPointwiseMethods},
    {Kernel::Depthwise, "depthwise", kDepthwiseBindings, sizeof(params::DepthwiseParams), kDepthwiseConstants,
     kDepthwiseTiles},
    {Kernel::SqueezeExcite, "squeeze_excite", kSqueezeExciteBindings, sizeof(params::SqueezeExciteParams),
     kSqueezeExciteConstants, kNoTiles},
    {Kernel::Pool, "pool", kInOutBindings, sizeof(params::PoolParams), {}, kNoTiles},
    {Kernel::Head, "head", kInOutBindings, sizeof(params::HeadParams), {}, kNoTiles},
    {Kernel::Export, "export", kInOutBindings, sizeof(params::ExportParams), {}, kNoTiles},
    {Kernel::Attention, "attention", kAttentionBindings, sizeof(params::AttentionParams), kAttentionConstants,
     kAttentionTiles},
    {Kernel::SeparableAttention,
     "separable_attention",
     kInOutBindings,
     sizeof(params::SeparableAttentionParams),
     {},
     kNoTiles},
    {Kernel::LayerNorm, "layer_norm", kLayerNormBindings, sizeof(params::LayerNormParams), kLayerNormConstants,
     kNoTiles},
    {Kernel::Moments, "moments", kInOutBindings, sizeof(params::MomentsParams), {}, kNoTiles},
    {Kernel::EmbedTokens, "embed_tokens", kEmbedTokensBindings, sizeof(params::EmbedTokensParams), {}, kNoTiles},
    {Kernel::Resize, "resize", kInOutBindings, sizeof(params::ResizeParams), {}, kNoTiles},
    {Kernel::MaxPool, "max_pool", kInOutBindings, sizeof(params::MaxPoolParams), {}, kNoTiles},
    {Kernel::PooledLinear, "pooled_linear", kPooledLinearBindings, sizeof(params::PooledLinearParams),
     kPooledLinearConstants, kPooledLinearTiles},
    {Kernel::InvertedResidual, "inverted_residual", kInvertedResidualBindings, sizeof(params::InvertedResidualParams),
     kInvertedResidualConstants, kInvertedResidualTiles},
};

constexpr bool tableIsInEnumOrder() {
    for (size_t i = 0; i < std::size(kTable); ++i) {
        if (static_cast<size_t>(kTable[i].kernel) != i) return false;
        if (kTable[i].constants.size() + 2 > kMaxConstants || kTable[i].pushConstantBytes > 128) return false;
    }
    return true;
}
static_assert(tableIsInEnumOrder());

void describeConstant(const ConstantRow& constant, uint32_t value, std::string& text) {
    const bool canBeOff = constant.kind != ConstantKind::Number && constant.kind != ConstantKind::Activation;
    if (canBeOff && value == 0) return;
    text.append(" ").append(constant.name);
    if (constant.kind == ConstantKind::Option && value > 1) text.append("=").append(std::to_string(value));
    if (constant.kind == ConstantKind::Activation)
        text.append("=").append(name(static_cast<dunlin::Activation>(value)));
    if (constant.kind == ConstantKind::Number || constant.kind == ConstantKind::Count)
        text.append("=").append(std::to_string(value));
}

}  // namespace

std::span<const KernelRow> kernelTable() {
    return kTable;
}

const KernelRow& row(Kernel kernel) {
    assert(static_cast<size_t>(kernel) < std::size(kTable));
    return kTable[static_cast<size_t>(kernel)];
}

bool hasLoadPath(const KernelRow& kernel) {
    for (const BindingRow& binding : kernel.bindings) {
        if (binding.kind == BindingKind::Activation || binding.kind == BindingKind::Weights) return true;
    }
    return false;
}

Result<std::vector<uint32_t>> unpackSpirv(const Variant& variant) {
    const KernelRow& kernel = row(variant.kernel);
    const auto isOf = [&](const EmbeddedShaders& shaders) {
        return shaders.kernel == variant.kernel && shaders.precision == variant.precision &&
               shaders.method == variant.method;
    };
    const auto shaders = std::ranges::find_if(embeddedShaders(), isOf);
    size_t module = 0;
    if (variant.kernel == Kernel::Preprocess)
        module = variant.tileX;
    else if (hasLoadPath(kernel) && variant.method != Method::Matrix)
        module = static_cast<size_t>(variant.load);
    const bool isMade = isCompiled(variant.method, variant.precision, variant.load);
    if (!isMade || shaders == embeddedShaders().end() || module >= shaders->words.size())
        return error(StatusCode::Unsupported, "the shader %s is not in this build", moduleName(variant).c_str());
    const auto begin = shaders->words.begin(), its = begin + static_cast<std::ptrdiff_t>(module);
    const uint32_t before = std::accumulate(begin, its, 0u);
    Result<std::vector<uint32_t>> words = unpackWords(*shaders, before, *its);
    if (!words.ok()) return words.status().withContext(moduleName(variant));
    return words;
}

const char* sourceName(uint32_t source) {
    switch (source) {
        case params::kSourceImage:
            return "image";
        case params::kSourcePixels:
            return "pixels";
        case params::kSourceTensor:
            return "tensor";
    }
    return "unknown";
}

const char* tileName(Method method) {
    switch (method) {
        case Method::Registers:
            return "tile";
        case Method::SharedTiles:
            return "shared";
        case Method::SplitK:
            return "split";
        case Method::Matrix:
            return "matrix";
    }
    return "unknown";
}

std::string moduleName(const Variant& variant) {
    const KernelRow& kernel = row(variant.kernel);
    std::string result = kernel.name;
    result.append(variant.precision == Precision::Fp32 ? ".f32" : ".f16");
    if (variant.kernel == Kernel::Preprocess) {
        return result.append(".").append(sourceName(variant.tileX));
    }
    if (hasLoadPath(kernel)) result.append(variant.load == LoadPath::Texel ? ".texel" : ".storage");
    if (kernel.tiles.size() == 1) return result;
    result.append(".").append(variant.method == Method::Registers ? "" : tileName(variant.method));
    return result.append(std::to_string(variant.tileX)).append("x").append(std::to_string(variant.tileY));
}

std::string describe(const Variant& variant) {
    std::string result = moduleName(variant);
    result.append(" local=").append(std::to_string(variant.constants[0]));
    if (variant.constants[1] > 1) result.append(" group_lanes=").append(std::to_string(variant.constants[1]));
    const std::span<const ConstantRow> constants = row(variant.kernel).constants;
    for (size_t i = 0; i < constants.size(); ++i) describeConstant(constants[i], variant.constants[i + 2], result);
    return result;
}

}  // namespace dunlin
