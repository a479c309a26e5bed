// Layers of networks as problems for single kernels: their names, their forms, and the oracle's data, without a GPU.
// tests/kernels/kernel_case_test.cpp runs them on a device.
#include "runtime/tuning/kernel_case.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>
#include <set>

#include "runtime/cpu/reference.h"
#include "runtime/plan/kernels.h"
#include "runtime/plan/prepack.h"
#include "shaders/include/params.h"
#include "tests/case_networks.h"

namespace dunlin::tuning {
namespace {

using test::familyRequests;
using test::lowered;
using test::NetworkRequest;
using Networks = std::vector<std::shared_ptr<const SourceNetwork>>;
using Written = std::map<TensorId, std::vector<std::byte>>;

DeviceLimits limitsOf(DeviceFamily family) {
    DeviceLimits limits;
    limits.family = family;
    limits.maxTexelBufferElements = 1u << 27;
    limits.maxStorageBufferRange = 1u << 30;
    limits.maxWorkgroupInvocations = limits.maxWorkgroupSize[0] = 1024;
    limits.sharedMemoryBytes = 32768;
    limits.fp16 = true;
    if (family == DeviceFamily::Nvidia) limits.matrix = {16, 16, 16, 32};
    return limits;
}
const DeviceLimits kCpuDriver = limitsOf(DeviceFamily::CpuDriver), kNvidia = limitsOf(DeviceFamily::Nvidia);

// The least that Vulkan guarantees.
DeviceLimits leastLimits() {
    DeviceLimits limits;
    limits.fp16 = true;
    return limits;
}
const DeviceLimits kLeast = leastLimits();

Networks familyNetworks(const DeviceLimits& limits, Precision precision = Precision::Fp32) {
    Networks networks;
    for (const NetworkRequest& request : familyRequests(precision)) networks.push_back(lowered(request, limits));
    return networks;
}

// The first case whose id begins so.
KernelCase caseOf(const NetworkRequest& request, std::string_view prefix, const DeviceLimits& limits = kCpuDriver) {
    const Networks networks = {lowered(request, limits)};
    for (const KernelCase& problem : casesOf(networks)) {
        if (problem.id.starts_with(prefix)) return problem;
    }
    ADD_FAILURE() << request.name << " has no case that begins with " << prefix;
    return {};
}

std::set<std::string> idsOf(const NetworkRequest& request) {
    const Networks networks = {lowered(request, kCpuDriver)};
    std::set<std::string> ids;
    for (const KernelCase& problem : casesOf(networks)) ids.insert(problem.id);
    return ids;
}

void expectContains(const std::set<std::string>& ids, std::initializer_list<const char*> wanted) {
    for (const char* id : wanted) EXPECT_TRUE(ids.contains(id)) << id;
}

TEST(KernelCaseIds, sayWhatMakesTheProblem) {
    expectContains(
        idsOf({"mobilenetv3_large_100", 224}),
        {"preprocess/224x224x3/bicubic/crop0.875", "conv2d/224x224x3-16/k3s2/hard-swish",
         "depthwise/56x56x72/k3s1/relu", "pointwise/56x56x24-72/relu", "pointwise/56x56x72-24/residual",
         "depthwise/56x56x72/k5s2/relu/squeeze", "squeeze_excite/28x28x72-24/relu/hard-sigmoid/partials7",
         "pointwise/28x28x72-40/gate", "pool/7x7x960", "pointwise/1x1x960-1280/hard-swish", "head/1x1x1000/top5"});
    expectContains(idsOf({"mobilenetv2_100", 224, FusionLevel::Max}),
                   {"inverted_residual/14x14x64-384-64/k3s1/relu6/residual", "pooled_linear/7x7x1280-1000",
                    "inverted_residual/224x224x3-32-16/k3s1/first-k3s2/relu6"});
    expectContains(idsOf({"resnet18", 224}),
                   {"max_pool/112x112x64/k3s2", "conv2d/56x56x64-64/k3s1/relu/residual-before-activation",
                    "conv2d/56x56x64-128/k1s2"});
}

TEST(KernelCaseIds, sayHowTokensAttend) {
    expectContains(idsOf({"swin_tiny_patch4_window7_224", 224}),
                   {"attention/56x56x96/heads3/windows7x7", "attention/56x56x96/heads3/windows7x7/shift3x3",
                    "conv2d/56x56x96-192/k2s2/window-norm", "pointwise/56x56x96-288/norm"});
    expectContains(idsOf({"vit_tiny_patch16_224", 224}),
                   {"embed_tokens/14x14x192/prefix1", "attention/1x197x192/heads3", "pool/1x197x192/count1",
                    "pointwise/1x197x192-768/gelu/norm1e-06"});
    expectContains(idsOf({"mobilevit_xxs", 256}),
                   {"attention/32x32x64/heads4/patch2x2", "conv2d/32x32x48-48/k3s1/silu/second48"});
    expectContains(idsOf({"mobilevitv2_050", 256}),
                   {"separable_attention/32x32x64/patch2x2", "moments/32x32x64", "pointwise/32x32x64-132/image-norm"});
}

TEST(KernelCaseIds, nameImagesStripsAndUnusualPadding) {
    expectContains(
        idsOf({"mobilenetv2_100", 64, FusionLevel::Default, Precision::Fp32, {"blocks.0"}, 3}),
        {"depthwise/32x32x32/k3s1/relu6/b3", "preprocess/64x64x3/bicubic/crop0.875/image2", "export/32x32x16/b3"});
    expectContains(idsOf({"tf_mobilenetv3_small_100", 64}), {"conv2d/64x64x3-16/k3s2/pad-0-0-1-1/hard-swish"});
    // given a device whose buffers hold no whole map
    DeviceLimits narrow = kCpuDriver;
    narrow.maxStorageBufferRange = 1u << 19;
    const KernelCase strip = caseOf({"mobilenetv2_100", 224}, "depthwise/112x112x32/k3s1/relu6/rows0-", narrow);
    EXPECT_LT(strip.origin().extent.rows, 112);
}

// Everything of a dispatch but its tensors, its load path and where in them its ranges begin.
std::string signatureOf(const Dispatch& dispatch) {
    Variant variant = dispatch.variant;
    variant.load = LoadPath::Storage;
    std::string text = describe(variant) + " push";
    for (size_t i = 0; i < dispatch.push.size; ++i) text += " " + std::to_string(int(dispatch.push.bytes[i]));
    for (const uint32_t count : dispatch.workgroups) text += " workgroups " + std::to_string(count);
    for (const Binding& binding : dispatch.bindings) text += " bytes " + std::to_string(binding.sizeBytes);
    return text;
}

// The networks of all architectures one by one, at their own size, and several images of the smallest.
template <typename Visit>
void forEachArchitecture(const DeviceLimits& limits, Visit visit) {
    for (const Architecture& architecture : architectures()) {
        const char* name = architecture.name.c_str();
        for (const FusionLevel fusion : {FusionLevel::Default, FusionLevel::Max}) {
            for (const NetworkRequest& request :
                 {NetworkRequest{name, architecture.preprocess.inputHeight, fusion},
                  NetworkRequest{name, smallestInput(architecture).h, fusion, Precision::Fp32, {}, 3}}) {
                const auto network = lowered(request, limits);
                ASSERT_TRUE(network) << architecture.name;
                visit(*network);
            }
        }
    }
}

TEST(KernelCaseIds, ofTwoProblemsDifferOverAllArchitectures) {
    for (const DeviceLimits& limits : {kCpuDriver, kNvidia}) {
        std::map<std::string, std::string> signatures;
        size_t dispatches = 0;
        forEachArchitecture(limits, [&](const SourceNetwork& network) {
            const std::vector<Dispatch>& lowered = network.lowered.program.dispatches;
            dispatches += lowered.size();
            for (size_t i = 0; i < lowered.size(); ++i) {
                const std::string id = caseId(network, i), signature = signatureOf(lowered[i]);
                const auto known = signatures.try_emplace(id, signature).first;
                EXPECT_EQ(known->second, signature) << id << " of " << network.name;
            }
        });
        EXPECT_GT(signatures.size(), 1000u);
        EXPECT_LT(signatures.size(), dispatches / 2) << "equal layers should be one problem";
    }
}

TEST(KernelCases, mergeEqualLayersAndNameTheirNetworks) {
    const Networks networks = {lowered({"mobilenetv2_100"}, kCpuDriver), lowered({"mobilenetv2_140"}, kCpuDriver)};
    const std::vector<KernelCase> cases = casesOf(networks);
    std::map<std::string, std::vector<std::string>> names;
    for (const KernelCase& problem : cases) {
        EXPECT_TRUE(names.emplace(problem.id, problem.networks).second) << problem.id << " twice";
        EXPECT_EQ(problem.id, caseId(*problem.network, problem.dispatch));
    }
    const std::vector<std::string> first = {"mobilenetv2_100"}, both = {"mobilenetv2_100", "mobilenetv2_140"};
    EXPECT_EQ(names.at("head/1x1x1000/top5"), both);
    EXPECT_EQ(names.at("conv2d/64x64x3-32/k3s2/relu6"), first);
    EXPECT_EQ(cases.front().kernel(), Kernel::Preprocess) << "cases come in the order of the dispatches";
    EXPECT_LT(cases.size(), networks[0]->lowered.origins.size() + networks[1]->lowered.origins.size());
}

TEST(KernelCases, ofTwoPrecisionsStayApart) {
    const Networks networks = {lowered({"resnet18"}, kCpuDriver),
                               lowered({"resnet18", 64, FusionLevel::Default, Precision::Fp16}, kCpuDriver)};
    const std::vector<KernelCase> cases = casesOf(networks);
    ASSERT_EQ(cases.size() % 2, 0u);
    const KernelCase &single = cases.front(), &half = cases[cases.size() / 2];
    EXPECT_EQ(single.id, half.id);
    EXPECT_EQ(single.precision(), Precision::Fp32);
    EXPECT_EQ(half.precision(), Precision::Fp16);
}

TEST(KernelForms, ofOneNetworkOfEachFamilyReachEveryModule) {
    for (const DeviceLimits& limits : {kCpuDriver, kNvidia}) {
        std::set<std::string> reached, all;
        for (const Precision precision : {Precision::Fp32, Precision::Fp16}) {
            for (const KernelCase& problem : casesOf(familyNetworks(limits, precision)))
                for (const FormedCase& form : formsOf(problem, limits))
                    reached.insert(moduleName(form.dispatch.variant));
            for (const KernelRow& kernel : kernelTable())
                for (const LoadPath load : {LoadPath::Texel, LoadPath::Storage}) {
                    for (const auto& tile : kernel.tiles)
                        all.insert(moduleName({kernel.kernel, precision, load, tile[0], tile[1], {}}));
                    // Other methods are no use on software drivers.
                    if (limits.family == DeviceFamily::CpuDriver) continue;
                    for (const MethodRow& way : kernel.methods)
                        if (isCompiled(way.method, precision, load))
                            all.insert(
                                moduleName({kernel.kernel, precision, load, way.tile[0], way.tile[1], {}, way.method}));
                }
        }
        EXPECT_EQ(reached, all);
    }
}

TEST(KernelForms, areMatricesWhereTheDeviceHasThemAndTheyAreHalfFull) {
    const auto countMatrices = [](const KernelCase& problem, const DeviceLimits& limits) {
        return std::ranges::count(formsOf(problem, limits), Method::Matrix,
                                  [](const FormedCase& form) { return form.form.method; });
    };
    DeviceLimits none = kNvidia;
    none.matrix = {};
    int offered = 0;
    for (const KernelCase& problem : casesOf(familyNetworks(kNvidia, Precision::Fp16))) {
        const int64_t count = countMatrices(problem, kNvidia);
        EXPECT_EQ(countMatrices(problem, none), 0) << problem.id;
        offered += count > 0;
        const auto* call = std::get_if<PointwiseCall>(&problem.origin().call);
        if (!call) {
            EXPECT_EQ(count, 0) << problem.id;
            continue;
        }
        // The smallest tile is of 32 pixels and channels; the largest of 64 and 64.
        const Shape& out = call->out.shape;
        const bool isNormed = call->normEpsilon.has_value();
        const int64_t pixels = int64_t{problem.origin().extent.rows} * out.w;
        if (isNormed || pixels * out.c < 32 * 32 / 2) {
            EXPECT_EQ(count, 0) << problem.id;
        }
        const bool areWhole = pixels % 64 == 0 && out.c % 64 == 0 && call->in.shape.c >= 16;
        if (!isNormed && areWhole) {
            EXPECT_EQ(count, 3) << problem.id;
        }
        EXPECT_NE(formsOf(problem, kNvidia).front().form.method, Method::Matrix) << problem.id << ": as a default";
    }
    EXPECT_GT(offered, 10);
    for (const KernelCase& problem : casesOf(familyNetworks(kNvidia, Precision::Fp32)))
        EXPECT_EQ(countMatrices(problem, kNvidia), 0) << problem.id;
}

TEST(KernelForms, ofMatricesCountTheDevicesSubgroupsAndShape) {
    const Networks networks = {lowered({.name = "mobilenetv3_large_100", .precision = Precision::Fp16}, kNvidia)};
    DeviceLimits wide = kNvidia;
    wide.matrix = {8, 16, 8, 16};
    for (const KernelCase& problem : casesOf(networks)) {
        for (const FormedCase& form : formsOf(problem, wide)) {
            if (form.form.method != Method::Matrix) continue;
            const auto& constants = form.dispatch.variant.constants;
            EXPECT_EQ(form.form.localSize % 16, 0u) << form.id;
            EXPECT_EQ(constants[constant_id::kMatrixRows], 8u) << form.id;
            EXPECT_EQ(constants[constant_id::kMatrixColumns], 16u) << form.id;
            EXPECT_EQ(constants[constant_id::kMatrixInner], 8u) << form.id;
            EXPECT_EQ(constants[constant_id::kMatrixSubgroup], 16u) << form.id;
            // Tiles of 2x2 matrices a subgroup cover every output.
            const auto params = form.dispatch.push.as<params::PointwiseParams>();
            const uint32_t lanes = form.form.groupLanes, rows = form.form.localSize / 16 / lanes * 2 * 8;
            const uint32_t channelTiles = (4 * params.outGroups + lanes * 32 - 1) / (lanes * 32);
            EXPECT_GE(params.tilesPerImage * rows, params.pixelsPerImage) << form.id;
            EXPECT_GE(form.dispatch.workgroups[0] * form.dispatch.workgroups[1],
                      params.images * params.tilesPerImage * channelTiles)
                << form.id;
        }
    }
}

TEST(KernelForms, beginWithWhatSessionsTake) {
    for (const DeviceLimits& limits : {kCpuDriver, kNvidia, kLeast}) {
        for (const KernelCase& problem : casesOf(familyNetworks(limits))) {
            const std::vector<FormedCase> forms = formsOf(problem, limits);
            ASSERT_FALSE(forms.empty()) << problem.id;
            EXPECT_TRUE(forms[0].isDefault) << problem.id;
            Dispatch lowered = problem.network->lowered.program.dispatches[problem.dispatch];
            if (problem.kernel() == Kernel::Preprocess) lowered.variant.tileX = forms[0].form.tileX;
            EXPECT_EQ(signatureOf(forms[0].dispatch), signatureOf(lowered)) << problem.id;
            for (size_t i = 1; i < forms.size(); ++i) EXPECT_FALSE(forms[i].isDefault) << forms[i].id;
        }
    }
}

TEST(KernelForms, fitTheDeviceAndHaveNamesOfTheirOwn) {
    for (const DeviceLimits& limits : {kCpuDriver, kNvidia, kLeast}) {
        std::set<std::string> ids;
        for (const KernelCase& problem : casesOf(familyNetworks(limits, Precision::Fp16))) {
            for (const FormedCase& form : formsOf(problem, limits)) {
                EXPECT_TRUE(ids.insert(form.id).second) << form.id << " twice";
                EXPECT_EQ(form.id, problem.id + "/fp16/" + form.variant);
                EXPECT_TRUE(dispatchFits(form.dispatch, limits)) << form.id;
                EXPECT_LE(form.form.localSize, limits.maxWorkgroupInvocations) << form.id;
                EXPECT_TRUE(unpackSpirv(form.dispatch.variant).ok()) << form.id;
            }
        }
    }
}

std::set<std::string> variantsOf(const KernelCase& problem, const DeviceLimits& limits) {
    std::set<std::string> variants;
    for (const FormedCase& form : formsOf(problem, limits)) variants.insert(form.variant);
    return variants;
}

TEST(KernelForms, areNamedByTileLoadPathAndUnusualWorkgroups) {
    const KernelCase depthwise = caseOf({"mobilenetv1_100", 224}, "depthwise/56x56x128/k3s1");
    expectContains(variantsOf(depthwise, kCpuDriver), {"tile1x1-texel", "tile4x2-storage", "tile4x2-texel-local128"});
    const KernelCase head = caseOf({"mobilenetv1_100", 224}, "head");
    expectContains(variantsOf(head, kCpuDriver), {"texel", "storage", "texel-local128"});
    const KernelCase preprocess = caseOf({"mobilenetv1_100", 224}, "preprocess");
    expectContains(variantsOf(preprocess, kCpuDriver),
                   {"pixels-lanes4", "image-lanes4", "pixels", "pixels-local128-lanes4"});
    const KernelCase pool = caseOf({"mobilenetv1_100", 224}, "pool", kNvidia);
    expectContains(variantsOf(pool, kNvidia), {"storage-lanes16", "storage-lanes32", "storage-lanes8"});
}

// Partial sums are as many as workgroups or tiles, so their tensor's size is the form's.
TEST(KernelForms, haveTensorsOfTheirOwnSize) {
    const KernelCase problem = caseOf({"mobilenetv3_small_100", 224}, "depthwise/112x112x16/k3s2", kNvidia);
    const auto& call = std::get<DepthwiseCall>(problem.origin().call);
    ASSERT_TRUE(call.sums);
    std::set<uint64_t> sizes;
    for (const FormedCase& form : formsOf(problem, kNvidia)) {
        const int partials = DispatchBuilder::partialCount(call.out.shape, call.out.shape.h, form.form);
        EXPECT_EQ(form.tensorBytes.at(call.sums->tensor), static_cast<uint64_t>(partials) * 16 * 4) << form.id;
        EXPECT_EQ(form.dispatch.workgroups[1], static_cast<uint32_t>(partials));
        sizes.insert(form.tensorBytes.at(call.sums->tensor));
    }
    EXPECT_GT(sizes.size(), 2u);
}

// --- Data

void writeElement(std::vector<std::byte>& bytes, uint64_t offset, double value, const CaseData::Expected& expected) {
    if (expected.isInteger) {
        const auto number = static_cast<uint32_t>(value);
        std::memcpy(&bytes[offset], &number, sizeof number);
    } else if (expected.precision == Precision::Fp16) {
        const uint16_t half = toHalf(static_cast<float>(value));
        std::memcpy(&bytes[offset], &half, sizeof half);
    } else {
        const auto single = static_cast<float>(value);
        std::memcpy(&bytes[offset], &single, sizeof single);
    }
}

// A number that is stored in two parts: what the first loses is the second.
void writeValue(std::vector<std::byte>& bytes, uint64_t offset, double value, const CaseData::Expected& expected) {
    writeElement(bytes, offset, value, expected);
    if (expected.stored != CaseData::Expected::Stored::TwoParts) return;
    const double first = expected.precision == Precision::Fp16 ? double{fromHalf(toHalf(static_cast<float>(value)))}
                                                               : double{static_cast<float>(value)};
    writeElement(bytes, offset + static_cast<uint64_t>(elementSize(expected.precision)), value - first, expected);
}

// All in the first partial; the others are zero.
void writeSums(std::vector<std::byte>& bytes, const CaseData::Expected& expected) {
    std::ranges::fill(bytes, std::byte{0});
    const auto channels = static_cast<size_t>(expected.sumsShape.c), lanes = roundUp(channels, size_t{4});
    const size_t imageBytes = bytes.size() / static_cast<size_t>(expected.sumsShape.n);
    for (size_t i = 0; i < expected.values.size(); ++i) {
        ASSERT_LT(i % channels, lanes);
        const uint64_t offset = i / channels * imageBytes + i % channels * sizeof(float);
        writeElement(bytes, offset, expected.values[i] * expected.pixels, expected);
    }
}

// What a perfect dispatch leaves behind, in buffers that were filled with 0xff.
Written perfectResult(const CaseData& data, const FormedCase& form) {
    Written written;
    for (const Binding& binding : form.dispatch.bindings) {
        if (binding.tensor >= 0 && binding.write)
            written[binding.tensor].assign(form.tensorBytes.at(binding.tensor), std::byte{0xff});
    }
    for (const CaseData::Expected& expected : data.expected) {
        std::vector<std::byte>& bytes = written.at(expected.tensor);
        if (expected.stored == CaseData::Expected::Stored::PartialSums) {
            writeSums(bytes, expected);
            continue;
        }
        for (size_t i = 0; i < expected.values.size(); ++i)
            writeValue(bytes, expected.offsets[i], expected.values[i], expected);
        for (const uint64_t offset : expected.padding) writeElement(bytes, offset, 0, expected);
        for (const uint64_t offset : expected.others) writeElement(bytes, offset, 0, expected);
    }
    return written;
}

// The first case of every kernel, and those that differ in what they read.
std::vector<KernelCase> someCases(Precision precision) {
    std::vector<KernelCase> chosen;
    std::map<std::string, int> seen;
    for (const KernelCase& problem : casesOf(familyNetworks(kCpuDriver, precision))) {
        std::string kind = row(problem.kernel()).name;
        const FormedCase form = formsOf(problem, kCpuDriver)[0];
        for (const Binding& binding : form.dispatch.bindings) kind += binding.tensor < 0 ? "-" : "+";
        if (seen[kind]++ < 2) chosen.push_back(problem);
    }
    return chosen;
}

class CaseDataTest : public ::testing::TestWithParam<Precision> {};

TEST_P(CaseDataTest, fillsWhatIsReadAndExpectsWhatIsWritten) {
    std::set<Kernel> kernels;
    for (const KernelCase& problem : someCases(GetParam())) {
        SCOPED_TRACE(problem.id);
        kernels.insert(problem.kernel());
        const Result<CaseData> data = makeData(problem);
        ASSERT_TRUE(data.ok()) << data.status().message();
        std::set<TensorId> expected;
        for (const CaseData::Expected& output : data->expected) expected.insert(output.tensor);
        const FormedCase form = formsOf(problem, kCpuDriver)[0];
        for (const Binding& binding : form.dispatch.bindings) {
            if (binding.tensor < 0) continue;
            if (binding.write) {
                EXPECT_TRUE(expected.contains(binding.tensor)) << "nothing is expected of tensor " << binding.tensor;
            } else {
                ASSERT_TRUE(data->contents.contains(binding.tensor)) << "tensor " << binding.tensor << " is not filled";
                EXPECT_EQ(data->contents.at(binding.tensor).size(), form.tensorBytes.at(binding.tensor));
            }
        }
    }
    EXPECT_EQ(kernels.size(), kernelTable().size());
}

TEST_P(CaseDataTest, acceptsAPerfectResult) {
    for (const KernelCase& problem : someCases(GetParam())) {
        const Result<CaseData> data = makeData(problem);
        ASSERT_TRUE(data.ok()) << data.status().message();
        const FormedCase form = formsOf(problem, kCpuDriver)[0];
        Written written = perfectResult(*data, form);
        EXPECT_LE(maxRelativeError(problem, *data, form, written), std::max(data->tolerance, 1e-7)) << problem.id;
        EXPECT_LT(data->tolerance, 0.02) << problem.id;
    }
}

TEST_P(CaseDataTest, rejectsWhateverIsMissingOrWrong) {
    for (const KernelCase& problem : someCases(GetParam())) {
        SCOPED_TRACE(problem.id);
        const Result<CaseData> data = makeData(problem);
        ASSERT_TRUE(data.ok()) << data.status().message();
        const FormedCase form = formsOf(problem, kCpuDriver)[0];
        const Written perfect = perfectResult(*data, form);
        const auto errorOf = [&](const Written& written) { return maxRelativeError(problem, *data, form, written); };
        for (const CaseData::Expected& expected : data->expected) {
            if (expected.stored == CaseData::Expected::Stored::PartialSums) continue;
            const auto withElement = [&](uint64_t offset, double value) {
                Written changed = perfect;
                writeElement(changed.at(expected.tensor), offset, value, expected);
                return errorOf(changed);
            };
            const size_t last = expected.values.size() - 1;
            EXPECT_GT(withElement(expected.offsets[last], expected.values[last] + 20), data->tolerance);
            if (!expected.padding.empty()) {
                EXPECT_EQ(withElement(expected.padding.back(), 1e-3), INFINITY);
            }
            if (expected.isInteger) {
                EXPECT_EQ(withElement(expected.offsets[0], expected.values[0] + 1), INFINITY);
            }
            // An element that was never written.
            Written missing = perfect;
            std::fill_n(&missing.at(expected.tensor)[expected.offsets[last]], elementSize(expected.precision),
                        std::byte{0xff});
            EXPECT_EQ(errorOf(missing), INFINITY);
        }
        EXPECT_EQ(errorOf({}), INFINITY);
    }
}

INSTANTIATE_TEST_SUITE_P(Precisions, CaseDataTest, ::testing::Values(Precision::Fp32, Precision::Fp16),
                         [](const auto& info) { return info.param == Precision::Fp32 ? "fp32" : "fp16"; });

TEST(CaseData, isTheSameEveryTime) {
    const KernelCase problem = caseOf({"mobilenetv3_small_100"}, "pointwise");
    const Result<CaseData> first = makeData(problem), second = makeData(problem);
    ASSERT_TRUE(first.ok() && second.ok());
    EXPECT_EQ(first->contents, second->contents);
    EXPECT_EQ(first->expected[0].values, second->expected[0].values);
}

TEST(CaseData, checksPartialSumsAsTheirMean) {
    // given a form with several partials and one that misses a share of one channel's sum
    const KernelCase problem = caseOf({"mobilenetv3_small_100", 224}, "depthwise/112x112x16/k3s2");
    const Result<CaseData> data = makeData(problem);
    ASSERT_TRUE(data.ok());
    const auto& sums = data->expected.at(1);
    ASSERT_EQ(sums.stored, CaseData::Expected::Stored::PartialSums);
    EXPECT_EQ(sums.pixels, 56 * 56);
    for (const FormedCase& form : formsOf(problem, kCpuDriver)) {
        Written written = perfectResult(*data, form);
        EXPECT_LE(maxRelativeError(problem, *data, form, written), data->tolerance) << form.id;
        std::vector<std::byte>& bytes = written.at(sums.tensor);
        std::fill(bytes.begin() + 4, bytes.begin() + 8, std::byte{0});
        const double largest = *std::ranges::max_element(data->expected[0].values);
        EXPECT_NEAR(maxRelativeError(problem, *data, form, written), std::abs(sums.values[1]) / largest,
                    std::abs(sums.values[1]) / largest * 1e-3);
    }
}

TEST(CaseData, expectsRowsOfAStripOnly) {
    DeviceLimits narrow = kCpuDriver;
    narrow.maxStorageBufferRange = 1u << 19;
    const KernelCase strip = caseOf({"mobilenetv2_100", 224}, "depthwise/112x112x32/k3s1/relu6/rows0-", narrow);
    const Result<CaseData> data = makeData(strip);
    ASSERT_TRUE(data.ok());
    const auto rows = static_cast<size_t>(strip.origin().extent.rows);
    EXPECT_EQ(data->expected.at(0).values.size(), rows * 112 * 32);
}

const Operand& inputOf(const KernelCall& call) {
    if (const auto* conv = std::get_if<Conv2dCall>(&call)) return conv->in;
    return std::get<PointwiseCall>(call).in;
}

// What the device sees of a float32 map whose channels need no padding.
reference::Tensor inputTensor(const CaseData& data, const Operand& operand) {
    reference::Tensor tensor(operand.shape);
    const std::vector<std::byte>& stored = data.contents.at(operand.tensor);
    EXPECT_EQ(stored.size(), tensor.values.size() * sizeof(float));
    for (size_t i = 0; i < tensor.values.size(); ++i) {
        float value;
        std::memcpy(&value, &stored[i * sizeof value], sizeof value);
        tensor.values[i] = double{value};
    }
    return tensor;
}

// A sample must be what the oracle would say of the whole, at the map's edges too.
void expectSampleOfTheWhole(const NetworkRequest& request, std::string_view id) {
    const KernelCase problem = caseOf(request, id);
    SCOPED_TRACE(problem.id);
    const Result<CaseData> data = makeData(problem);
    ASSERT_TRUE(data.ok());
    const CaseData::Expected& expected = data->expected.at(0);
    EXPECT_FALSE(expected.others.empty()) << "the oracle computed everything";
    // given all that the oracle makes of the step's nodes
    const Graph& graph = problem.network->graph;
    reference::Tensor map = inputTensor(*data, inputOf(problem.origin().call));
    for (const int index : nodesOf(graph, *problem.origin().step)) {
        const Node& node = graph.nodes()[static_cast<size_t>(index)];
        ASSERT_EQ(inputsOf(node.op).size(), 1u);
        const reference::Tensor* inputs[] = {&map};
        map = reference::evaluate(node.op, inputs, *foldWeights(graph, node, *problem.network->weights));
    }
    // then every expected value is one of it
    ASSERT_EQ(expected.values.size() + expected.others.size(), map.values.size());
    for (size_t i = 0; i < expected.values.size(); ++i)
        ASSERT_NEAR(expected.values[i], map.values.at(expected.offsets[i] / sizeof(float)), 1e-9) << i;
    EXPECT_EQ(expected.offsets.front(), 0u) << "the first row";
    EXPECT_EQ(expected.offsets.back(), (map.values.size() - 1) * sizeof(float)) << "the last row";
}

TEST(CaseData, ofLargeLayersIsASample) {
    expectSampleOfTheWhole({"resnet18", 320}, "conv2d/80x80x64-64/k3s1/relu");
    expectSampleOfTheWhole({"convnext_tiny", 320}, "pointwise/80x80x96-384/gelu/norm");
}

TEST(CaseData, isWholeWhereAShortcutLeadsAroundOneConvolution) {
    const KernelCase problem = caseOf({"tf_efficientnetv2_s", 416}, "conv2d/208x208x24-24/k3s1/silu/residual");
    const Result<CaseData> data = makeData(problem);
    ASSERT_TRUE(data.ok());
    EXPECT_EQ(data->expected.at(0).values.size(), size_t{208} * 208 * 24);
    EXPECT_TRUE(data->expected.at(0).others.empty());
}

}  // namespace
}  // namespace dunlin::tuning
