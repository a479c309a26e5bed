// The table of kernels against what the build embedded, and the names of variants.
#include <gtest/gtest.h>

#include <set>

#include "runtime/plan/embedded_shaders.h"
#include "runtime/plan/inflate.h"
#include "runtime/plan/kernels.h"

namespace dunlin {
namespace {

constexpr uint32_t kSpirvMagic = 0x07230203;

std::vector<Variant> everyVariant() {
    std::vector<Variant> variants;
    for (const KernelRow& kernel : kernelTable()) {
        for (Precision precision : {Precision::Fp32, Precision::Fp16}) {
            for (LoadPath load : {LoadPath::Texel, LoadPath::Storage}) {
                for (const auto& tile : kernel.tiles)
                    variants.push_back({kernel.kernel, precision, load, tile[0], tile[1], {}});
                for (const MethodRow& way : kernel.methods) {
                    if (!isCompiled(way.method, precision, load)) continue;
                    variants.push_back({kernel.kernel, precision, load, way.tile[0], way.tile[1], {}, way.method});
                }
            }
        }
    }
    return variants;
}

TEST(KernelTable, everyVariantIsEmbedded) {
    for (const Variant& variant : everyVariant()) {
        const auto words = unpackSpirv(variant);
        ASSERT_TRUE(words.ok()) << words.status().message();
        ASSERT_FALSE(words->empty()) << moduleName(variant);
        EXPECT_EQ(words->front(), kSpirvMagic) << moduleName(variant);
    }
}

TEST(KernelTable, nothingElseIsEmbedded) {
    std::set<std::vector<uint32_t>> used;
    for (const Variant& variant : everyVariant()) used.insert(*unpackSpirv(variant));
    size_t embedded = 0;
    for (const EmbeddedShaders& shaders : embeddedShaders()) embedded += shaders.words.size();
    EXPECT_EQ(used.size(), embedded);
}

// The ids of a module's specialization constants.
std::set<uint32_t> constantIds(const std::vector<uint32_t>& words) {
    constexpr uint32_t kOpDecorate = 71, kSpecId = 1;
    std::set<uint32_t> ids;
    for (size_t i = 5; i + 3 < words.size(); i += words[i] >> 16) {
        if ((words[i] & 0xffff) == kOpDecorate && words[i + 2] == kSpecId) ids.insert(words[i + 3]);
    }
    return ids;
}

TEST(KernelTable, aModuleServesEveryTile) {
    for (const Variant& variant : everyVariant()) {
        if (variant.kernel == Kernel::Preprocess) continue;
        const std::set<uint32_t> ids = constantIds(*unpackSpirv(variant));
        EXPECT_TRUE(variant.tileX == 1 || ids.contains(constant_id::kTileX)) << moduleName(variant);
        EXPECT_TRUE(variant.tileY == 1 || ids.contains(constant_id::kTileY)) << moduleName(variant);
    }
}

TEST(KernelTable, everyStreamHasAHashOfItsOwn) {
    std::set<uint64_t> hashes;
    for (const EmbeddedShaders& shaders : embeddedShaders()) {
        EXPECT_TRUE(hashes.insert(shaders.spirvHash).second) << row(shaders.kernel).name << ": that of another stream";
        EXPECT_NE(shaders.spirvHash, 0u) << row(shaders.kernel).name;
    }
}

TEST(KernelTable, variantsThatWereNotCompiledHaveNoModule) {
    const auto method = unpackSpirv({Kernel::Conv2d, Precision::Fp32, LoadPath::Texel, 4, 1, {}, Method::SplitK});
    EXPECT_EQ(method.status().code(), StatusCode::Unsupported);
    EXPECT_EQ(method.status().message(), "the shader conv2d.f32.texel.split4x1 is not in this build");
    const auto matrix = unpackSpirv({Kernel::Pointwise, Precision::Fp32, LoadPath::Storage, 2, 2, {}, Method::Matrix});
    EXPECT_EQ(matrix.status().message(), "the shader pointwise.f32.storage.matrix2x2 is not in this build");
    const auto source = unpackSpirv({Kernel::Preprocess, Precision::Fp32, LoadPath::Storage, 3, 1, {}});
    EXPECT_EQ(source.status().code(), StatusCode::Unsupported);
    EXPECT_EQ(source.status().message(), "the shader preprocess.f32.unknown is not in this build");
}

TEST(KernelTable, aModuleEndsWithItsLastInstruction) {
    // Of SPIR-V, the last is OpFunctionEnd: no module runs on into the one packed behind it.
    constexpr uint32_t kOpFunctionEnd = 1u << 16 | 56;
    for (const Variant& variant : everyVariant()) {
        const std::vector<uint32_t> words = *unpackSpirv(variant);
        size_t at = 5;
        while (at < words.size() && words[at] >> 16 > 0) at += words[at] >> 16;
        EXPECT_EQ(at, words.size()) << moduleName(variant);
        EXPECT_EQ(words.back(), kOpFunctionEnd) << moduleName(variant);
    }
}

TEST(KernelTable, aDamagedStreamIsNotUnpacked) {
    const EmbeddedShaders& shaders = embeddedShaders().front();
    std::vector<uint8_t> gzip(shaders.gzip.begin(), shaders.gzip.end());
    std::vector<std::byte> bytes(shaders.textBytes);
    ASSERT_TRUE(inflateGzip(gzip, bytes).ok());
    std::vector<std::byte> oneMore(bytes.size() + 1);
    EXPECT_EQ(inflateGzip(gzip, oneMore).code(), StatusCode::BadFile);
    EXPECT_EQ(inflateGzip(std::span(gzip).first(gzip.size() / 2), bytes).code(), StatusCode::BadFile);
    gzip[gzip.size() / 2] ^= 0x10;
    EXPECT_EQ(inflateGzip(gzip, bytes).code(), StatusCode::BadFile);
    EmbeddedShaders damaged = shaders;
    damaged.gzip = gzip;
    const auto words = unpackWords(damaged, 0, shaders.words[0]);
    EXPECT_EQ(words.status().code(), StatusCode::BadFile) << words.status().message();
    EXPECT_EQ(unpackWords(shaders, 0, size_t{1} << 30).status().code(), StatusCode::BadFile);
}

TEST(KernelTable, float32NeedsNoCapabilityBeyondShader) {
    // SPIR-V: five header words, then instructions that begin with length << 16 | opcode; OpCapability is 17.
    constexpr uint32_t kOpCapability = 17, kShader = 1, kSampledBuffer = 46;
    for (const Variant& variant : everyVariant()) {
        if (variant.precision != Precision::Fp32) continue;
        const std::vector<uint32_t> words = *unpackSpirv(variant);
        for (size_t i = 5; i < words.size() && (words[i] & 0xffff) == kOpCapability; i += words[i] >> 16) {
            EXPECT_TRUE(words[i + 1] == kShader || words[i + 1] == kSampledBuffer)
                << moduleName(variant) << " needs capability " << words[i + 1];
        }
    }
}

TEST(KernelTable, modulesAreNamedByKernelPrecisionLoadPathAndTile) {
    EXPECT_EQ(moduleName({Kernel::Pointwise, Precision::Fp32, LoadPath::Texel, 8, 2, {}}), "pointwise.f32.texel.8x2");
    EXPECT_EQ(moduleName({Kernel::Pointwise, Precision::Fp32, LoadPath::Texel, 4, 2, {}, Method::SharedTiles}),
              "pointwise.f32.texel.shared4x2");
    EXPECT_EQ(moduleName({Kernel::Head, Precision::Fp16, LoadPath::Storage, 1, 1, {}}), "head.f16.storage");
    EXPECT_EQ(moduleName({Kernel::Preprocess, Precision::Fp32, LoadPath::Storage, 0, 1, {}}), "preprocess.f32.image");
}

TEST(KernelTable, aVariantIsDescribedWithItsConstants) {
    Variant variant = {Kernel::Pointwise, Precision::Fp32, LoadPath::Texel, 8, 2, {64, 1}};
    variant.constants[constant_id::kActivation] = static_cast<uint32_t>(Activation::HardSwish);
    variant.constants[constant_id::kGate] = 1;
    EXPECT_EQ(describe(variant), "pointwise.f32.texel.8x2 local=64 activation=hard-swish gate");
    Variant depthwise = {Kernel::Depthwise, Precision::Fp16, LoadPath::Storage, 4, 2, {64, 8, 0, 1, 5, 5, 2, 2}};
    EXPECT_EQ(describe(depthwise),
              "depthwise.f16.storage.4x2 local=64 group_lanes=8 activation=none squeeze kernel_h=5 kernel_w=5 "
              "stride_h=2 stride_w=2");
}

}  // namespace
}  // namespace dunlin
