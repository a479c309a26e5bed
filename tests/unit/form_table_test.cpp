// Tables of chosen forms: where they hold, and that nothing else is believed.
#include "runtime/plan/form_table.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "runtime/plan/case_id.h"
#include "runtime/plan/form_candidates.h"
#include "runtime/tuning/kernel_case.h"
#include "tests/case_networks.h"

namespace dunlin {
namespace {

DeviceLimits limitsWithFloat16() {
    DeviceLimits limits = test::cpuDriverLimits();
    limits.fp16 = true;
    return limits;
}
const DeviceLimits kLimits = limitsWithFloat16();

struct Network {
    Graph graph;
    LoweredNetwork lowered;

    std::string key(size_t dispatch) const {
        return formKey(graph, lowered.origins[dispatch], lowered.program.precision);
    }
    const DispatchOrigin& origin(const std::string& key) const {
        for (size_t i = 0; i < lowered.origins.size(); ++i) {
            if (this->key(i) == key) return lowered.origins[i];
        }
        ADD_FAILURE() << "no dispatch is " << key;
        return lowered.origins.front();
    }
};

Network lowerWith(const char* name, const FormTable& table, SessionOptions options = {}, int side = 64,
                  const DeviceLimits& limits = kLimits) {
    const Result<Architecture> architecture = findArchitecture(name);
    EXPECT_TRUE(architecture.ok()) << architecture.status().message();
    Graph graph = architecture->build({}, {options.batch, side, side, 3});
    options.forms = std::make_shared<const FormTable>(table);
    Result<LoweredNetwork> lowered = lowerNetwork(graph, options, limits);
    EXPECT_TRUE(lowered.ok()) << lowered.status().message();
    return {std::move(graph), *std::move(lowered)};
}

// For every problem of a network, the last of its candidates.
FormTable lastCandidates(const Network& network) {
    FormTable table;
    for (size_t i = 0; i < network.lowered.origins.size(); ++i) {
        const DispatchOrigin& origin = network.lowered.origins[i];
        if (kernelOf(origin.call) == Kernel::Preprocess) continue;
        const auto forms = formCandidates(
            {origin.call, origin.extent, origin.defaultForm, network.lowered.program.precision, kLimits});
        table.forms[network.key(i)] = formName(kernelOf(origin.call), forms.back());
    }
    return table;
}

constexpr const char* kExpand = "pointwise/32x32x16-96/relu6/fp32";

// Candidates of a dispatch, the default first.
std::vector<KernelForm> candidatesOf(const DispatchOrigin& origin) {
    return formCandidates({origin.call, origin.extent, origin.defaultForm, Precision::Fp32, kLimits});
}
std::string nameOf(const DispatchOrigin& origin, const KernelForm& form) {
    return formName(kernelOf(origin.call), form);
}

TEST(FormTable, isUsedWhereItNamesACandidate) {
    const Network plain = lowerWith("mobilenetv2_100", {});
    const DispatchOrigin& usual = plain.origin(kExpand);
    EXPECT_EQ(usual.form, usual.defaultForm);
    for (const KernelForm& form : candidatesOf(usual)) {
        const Network tuned = lowerWith("mobilenetv2_100", {{{kExpand, nameOf(usual, form)}}, {}});
        const DispatchOrigin& chosen = tuned.origin(kExpand);
        EXPECT_EQ(chosen.form, form);
        EXPECT_EQ(chosen.defaultForm, usual.defaultForm);
        EXPECT_TRUE(tuned.lowered.ignoredForms.empty());
        // and nowhere else
        size_t changed = 0;
        for (const DispatchOrigin& origin : tuned.lowered.origins) changed += origin.form != origin.defaultForm;
        EXPECT_EQ(changed, form == usual.defaultForm ? 0u : 1u);
    }
}

TEST(FormTable, namesThatAreNoCandidatesAreIgnoredAndToldOf) {
    const Network plain = lowerWith("mobilenetv2_100", {});
    const std::string usual = nameOf(plain.origin(kExpand), plain.origin(kExpand).form);
    for (const std::string& form :
         {std::string(), std::string("tile3x3-texel"), std::string("tile8x2-texel-local0"),
          std::string("tile8x2-texel-local48"), std::string("tile8x2-texel-local4294967295"),
          std::string("tile8x2-texel-lanes7"), std::string("pixels"), usual + " ", usual + "-"}) {
        const Network tuned = lowerWith("mobilenetv2_100", {{{kExpand, form}}, {}});
        EXPECT_EQ(print(tuned.lowered.program), print(plain.lowered.program)) << form;
        ASSERT_EQ(tuned.lowered.ignoredForms.size(), 1u) << form;
        EXPECT_NE(tuned.lowered.ignoredForms[0].find(kExpand), std::string::npos);
    }
}

TEST(FormTable, whatOnlyALargerDeviceHasIsIgnored) {
    const Network plain = lowerWith("mobilenetv2_100", {});
    const auto forms = candidatesOf(plain.origin(kExpand));
    const KernelForm& largest = *std::ranges::max_element(forms, {}, &KernelForm::localSize);
    const FormTable table = {{{kExpand, nameOf(plain.origin(kExpand), largest)}}, {}};
    EXPECT_TRUE(lowerWith("mobilenetv2_100", table).lowered.ignoredForms.empty());
    DeviceLimits small = kLimits;
    small.maxWorkgroupInvocations = small.maxWorkgroupSize[0] = largest.localSize / 2;
    EXPECT_EQ(lowerWith("mobilenetv2_100", table, {}, 64, small).lowered.ignoredForms.size(), 1u);
}

TEST(FormTable, thePictureOfPreprocessIsNotItsBusiness) {
    const char* key = "preprocess/64x64x3/fp32";
    const Network plain = lowerWith("mobilenetv2_100", {});
    for (const KernelForm& form : candidatesOf(plain.origin(key))) {
        const Network tuned = lowerWith("mobilenetv2_100", {{{key, nameOf(plain.origin(key), form)}}, {}});
        const bool isSame = form.tileX == plain.origin(key).form.tileX;
        EXPECT_EQ(tuned.lowered.ignoredForms.size(), isSame ? 0u : 1u);
        EXPECT_EQ(tuned.lowered.program.dispatches[0].variant.tileX, plain.origin(key).form.tileX);
    }
}

TEST(FormTable, formsOfEveryProblemHold) {
    for (const char* name : {"mobilenetv3_small_100", "mobilevitv2_050", "resnet18", "vit_tiny_patch16_224"}) {
        const Network plain = lowerWith(name, {});
        const FormTable table = lastCandidates(plain);
        const Network tuned = lowerWith(name, table);
        ASSERT_EQ(tuned.lowered.origins.size(), plain.lowered.origins.size()) << name;
        for (size_t i = 0; i < tuned.lowered.origins.size(); ++i) {
            const DispatchOrigin& origin = tuned.lowered.origins[i];
            const auto wanted = table.forms.find(tuned.key(i));
            if (wanted == table.forms.end()) {
                // a squeeze-excite step that adds up another number of partial sums is another problem
                EXPECT_TRUE(kernelOf(origin.call) == Kernel::SqueezeExcite || i == 0) << tuned.key(i);
                continue;
            }
            EXPECT_EQ(formName(kernelOf(origin.call), origin.form), wanted->second) << tuned.key(i);
        }
        EXPECT_TRUE(tuned.lowered.ignoredForms.empty()) << tuned.lowered.ignoredForms[0];
    }
}

TEST(FormTable, ofAnotherBatchOrPrecisionSaysNothing) {
    const FormTable table = lastCandidates(lowerWith("mobilenetv2_100", {}));
    SessionOptions options;
    options.batch = 2;
    for (const DispatchOrigin& origin : lowerWith("mobilenetv2_100", table, options).lowered.origins)
        EXPECT_EQ(origin.form, origin.defaultForm);
    options.batch = 1;
    options.precision = Precision::Fp16;
    for (const DispatchOrigin& origin : lowerWith("mobilenetv2_100", table, options).lowered.origins)
        EXPECT_EQ(origin.form, origin.defaultForm);
}

TEST(FormTable, fusesTheBlocksThatItNamesAndNoOthers) {
    SessionOptions options;
    options.fusion = FusionLevel::Max;
    const Network all = lowerWith("mobilenetv2_100", {}, options);
    const std::string block = "inverted_residual/8x8x32-192-32/k3s1/relu6/residual/fp32";
    FormTable table = {{}, {block}};
    const Network plain = lowerWith("mobilenetv2_100", {}), some = lowerWith("mobilenetv2_100", table);
    EXPECT_EQ(some.origin(block).step->parts.size(), 3u);
    size_t joined = 0, alike = 0;
    for (size_t i = 0; i < some.lowered.origins.size(); ++i) {
        joined += !some.lowered.origins[i].step || some.lowered.origins[i].step->parts.empty() ? 0 : 1;
        alike += some.key(i) == block;
    }
    EXPECT_GE(joined, 1u);
    EXPECT_EQ(joined, alike);
    EXPECT_EQ(some.lowered.origins.size() + 2 * joined, plain.lowered.origins.size());
    // and with all of them it is the plan of --fusion max
    for (size_t i = 0; i < all.lowered.origins.size(); ++i) {
        if (all.lowered.origins[i].step && !all.lowered.origins[i].step->parts.empty())
            table.fusedBlocks.insert(all.key(i));
    }
    EXPECT_EQ(print(lowerWith("mobilenetv2_100", table).lowered.program), print(all.lowered.program));
    // a name of nothing is no harm
    EXPECT_EQ(print(lowerWith("mobilenetv2_100", {{}, {"inverted_residual/nonsense"}}).lowered.program),
              print(plain.lowered.program));
}

TEST(FormKeys, leaveOutWhatAFormDoesNotHangOn) {
    SessionOptions options;
    options.batch = 3;
    const Network network = lowerWith("mobilenetv2_100", {}, options);
    for (size_t image = 0; image < 3; ++image) EXPECT_EQ(network.key(image), "preprocess/64x64x3/fp32");
    EXPECT_EQ(network.key(3), "conv2d/64x64x3-32/k3s2/relu6/b3/fp32");
}

TEST(FormNames, ofTheCandidatesOfAProblemDiffer) {
    for (const char* name : {"mobilenetv3_small_100", "mobilevit_xxs", "swin_tiny_patch4_window7_224"}) {
        const Network network = lowerWith(name, {}, {}, 96);
        for (const DispatchOrigin& origin : network.lowered.origins) {
            std::set<std::string> names;
            const auto forms =
                formCandidates({origin.call, origin.extent, origin.defaultForm, Precision::Fp32, kLimits});
            for (const KernelForm& form : forms) names.insert(formName(kernelOf(origin.call), form));
            EXPECT_EQ(names.size(), forms.size()) << name;
        }
    }
}

TEST(Programs, arePrintedWithTheirForms) {
    const Network plain = lowerWith("mobilenetv2_100", {});
    const DispatchOrigin& origin = plain.origin(kExpand);
    const std::string usual = nameOf(origin, origin.form), other = nameOf(origin, candidatesOf(origin).back());
    const Network tuned = lowerWith("mobilenetv2_100", {{{kExpand, other}}, {}});
    const std::string text = print(tuned.lowered);
    EXPECT_NE(text.find("[" + other + ", tuned; default " + usual + "]\n"), std::string::npos);
    EXPECT_NE(text.find(", default]\n"), std::string::npos);
    EXPECT_EQ(std::ranges::count(text, '\n'), std::ranges::count(print(tuned.lowered.program), '\n'));
}

}  // namespace
}  // namespace dunlin
