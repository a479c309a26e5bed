// Verified tuning on a device: results stay right and repeatable whatever a driver's compiler makes of single variants,
// and whatever a file says.
#include <algorithm>
#include <atomic>
#include <filesystem>
#include <fstream>
#include <future>
#include <thread>

#include "runtime/plan/case_id.h"
#include "runtime/plan/form_candidates.h"
#include "runtime/plan/kernels.h"
#include "runtime/tuning/tuner.h"
#include "shaders/include/params.h"
#include "tests/vulkan/application.h"
#include "tests/vulkan/miscompiling_vulkan.h"
#include "tests/vulkan/small_network.h"
#include "tests/vulkan/vulkan_fixture.h"

namespace dunlin::tuning {
namespace {

namespace fs = std::filesystem;

using test::Miscompilation;
using test::miscompilingVulkan;
using vulkan::NoticeSeverity;

constexpr double kFp32Bound = 1e-5;
constexpr double kAmpleMs = 600e3;

class TuningTest : public test::VulkanTest {
  protected:
    void SetUp() override {
        VulkanTest::SetUp();
        if (!device_) return;
        folder_ = fs::path(::testing::TempDir()) /
                  (std::string("dunlin_tuning_") + ::testing::UnitTest::GetInstance()->current_test_info()->name());
        fs::remove_all(folder_);
        fs::create_directories(folder_);
        miscompilingVulkan().real = device_->instanceFunctions().getInstanceProcAddr;
        openWith(nullptr);
    }
    void TearDown() override {
        tuner_.reset();
        backend_.reset();
        borrowed_.reset();
        miscompilingVulkan().compile = nullptr;
        if (!folder_.empty()) fs::remove_all(folder_);
        VulkanTest::TearDown();
    }

    // A process of its own on a driver that makes this of the library's shaders.
    void openWith(std::function<Miscompilation(const Variant&)> compile, VerdictSources sources = {}) {
        tuner_.reset();
        backend_.reset();
        borrowed_.reset();
        miscompilingVulkan().compile = std::move(compile);
        miscompilingVulkan().miscompiled = 0;
        notices_.clear();
        vulkan::BorrowedDevice handles = test::handlesOf(*device_);
        handles.getInstanceProcAddr = test::miscompilingGetInstanceProcAddr;
        auto borrowed = vulkan::VulkanDevice::borrow(handles);
        ASSERT_TRUE(borrowed.ok()) << borrowed.status().message();
        borrowed_ = *std::move(borrowed);
        auto backend = vulkan::VulkanBackend::create(borrowed_);
        ASSERT_TRUE(backend.ok()) << backend.status().message();
        backend_ = *std::move(backend);
        if (sources.folder.empty() && sources.shipped.empty() && sources.shippedPath.empty()) sources.folder = folder_;
        tuner_ = std::make_unique<Tuner>(*backend_, sources, [this](NoticeSeverity severity, const std::string& text) {
            notices_.emplace_back(severity, text);
        });
    }

    Result<TunedSession> createSession(double budgetMs, const SessionOptions& options = {}) {
        vulkan::VulkanSessionOptions wanted;
        wanted.session = options;
        wanted.inputKinds = vulkan::kAllInputs;
        return createTunedSession(*backend_, *tuner_, model_, wanted, budgetMs);
    }

    // Of the logits of one run, beside the oracle's.
    double errorOf(vulkan::VulkanSession& session) {
        const Shape input = session.inputShape();
        const std::vector<float> tensor = formulaInput(input.n, input.h, input.w);
        output_.assign(session.outputBytes(), std::byte{0});
        HostInput given;
        given.tensor = tensor;
        const Status status = session.run(given, output_);
        EXPECT_TRUE(status.ok()) << status.message();
        return test::relativeError(test::floatsOf(output_, session.outputs().front()),
                                   test::oracleLogits(*model_, input, tensor));
    }

    std::vector<std::string> notices(NoticeSeverity severity) const {
        std::vector<std::string> texts;
        for (const auto& [its, text] : notices_) {
            if (its == severity) texts.push_back(text);
        }
        return texts;
    }

    const Verdict& verdictOf(const std::string& prefix) const {
        for (const auto& [key, verdict] : tuner_->store().verdicts().problems) {
            if (key.starts_with(prefix)) return verdict;
        }
        static const Verdict kNone;
        ADD_FAILURE() << "nothing is known of " << prefix;
        return kNone;
    }

    std::string fileText() const {
        std::ifstream stream(tuner_->store().file());
        return {std::istreambuf_iterator<char>(stream), {}};
    }

    fs::path folder_;
    std::shared_ptr<const ModelData> model_ = test::smallModel();
    std::shared_ptr<vulkan::VulkanDevice> borrowed_;
    std::unique_ptr<vulkan::VulkanBackend> backend_;
    std::unique_ptr<Tuner> tuner_;
    std::vector<std::pair<NoticeSeverity, std::string>> notices_;
    std::vector<std::byte> output_;  // of the last run
};

// The variants that the small network has without tuning.
std::set<Variant> defaultVariants(const vulkan::VulkanDevice& device, const ModelData& model) {
    const Result<Graph> graph = model.buildGraph({1, test::kSmallSide, test::kSmallSide, 3});
    const Result<Program> program = lower(*graph, {}, device.limits());
    EXPECT_TRUE(program.ok()) << program.status().message();
    std::set<Variant> variants;
    for (const Dispatch& dispatch : program->dispatches) variants.insert(dispatch.variant);
    return variants;
}

TEST_F(TuningTest, aTunedSessionComputesTheSameAndReplaysBitForBit) {
    // given what the network computes without tuning
    const auto plain = createSession(0);
    ASSERT_TRUE(plain.ok()) << plain.status().message();
    EXPECT_EQ(plain->report.tuned, 0u);
    EXPECT_LT(errorOf(*plain->session), kFp32Bound);
    // when it is tuned
    const auto tuned = createSession(kAmpleMs);
    ASSERT_TRUE(tuned.ok()) << tuned.status().message();
    // then every problem has a verdict, forms were tried, and none was wrong
    EXPECT_GE(tuned->report.problems, 7u) << "as blocks may be one";
    EXPECT_EQ(tuned->report.tuned, tuned->report.problems);
    EXPECT_GT(tuned->report.formsTried, 2 * tuned->report.problems);
    EXPECT_EQ(tuned->report.formsRejected, 0u);
    EXPECT_TRUE(notices_.empty()) << notices_.front().second;
    // and the results are right, and the same each time
    EXPECT_LT(errorOf(*tuned->session), kFp32Bound);
    const std::vector<std::byte> first = output_;
    for (int i = 0; i < 100; ++i) {
        errorOf(*tuned->session);
        ASSERT_EQ(output_, first) << "run " << i;
    }
}

// Verdicts that give every problem of a network another form than the default, where it has one.
Verdicts otherForms(vulkan::VulkanBackend& backend, const ModelData& model,
                    const vulkan::VulkanSessionOptions& options) {
    const DeviceLimits& limits = backend.device()->limits();
    Verdicts verdicts;
    // A form may make another problem of the squeeze-excite that adds up its partial sums: so twice.
    for (int round = 0; round < 2; ++round) {
        vulkan::VulkanSessionOptions wanted = options;
        wanted.session.forms = std::make_shared<const FormTable>(verdicts.table());
        const Result<LoweredNetwork> network = backend.lower(model, wanted);
        const Result<Graph> graph = model.buildGraph({1, options.session.height, options.session.width, 3});
        EXPECT_TRUE(network.ok()) << network.status().message();
        for (const DispatchOrigin& origin : network->origins) {
            const Kernel kernel = kernelOf(origin.call);
            if (kernel == Kernel::Preprocess) continue;  // whose candidates are other sources of the picture
            const auto forms =
                formCandidates({origin.call, origin.extent, origin.defaultForm, Precision::Fp32, limits});
            Verdict verdict;
            verdict.form = formName(kernel, forms.back());
            verdict.defaultForm = formName(kernel, origin.defaultForm);
            verdicts.problems.emplace(formKey(*graph, origin, Precision::Fp32), verdict);
        }
    }
    return verdicts;
}

TEST_F(TuningTest, aNetworkInOtherFormsThanTheDefaultsReplaysAThousandTimesBitForBit) {
    // given verdicts by which every layer has another form
    model_ = test::registryModel("mobilenetv3_small_050");
    vulkan::VulkanSessionOptions options;
    options.session.height = options.session.width = 64;
    const Verdicts verdicts = otherForms(*backend_, *model_, options);
    std::ofstream(tuner_->store().file()) << toText(verdicts, Identity::of(device_->capabilities()));
    openWith(nullptr);
    // when a session is created
    const auto plain = backend_->lower(*model_, options);
    ASSERT_TRUE(plain.ok()) << plain.status().message();
    const auto tuned = createTunedSession(*backend_, *tuner_, model_, options, 0);
    ASSERT_TRUE(tuned.ok()) << tuned.status().message();
    // then most dispatches are not the default's, and the result is right
    const std::vector<Dispatch>& dispatches = tuned->session->program().dispatches;
    ASSERT_EQ(dispatches.size(), plain->program.dispatches.size());
    size_t others = 0;
    for (size_t i = 0; i < dispatches.size(); ++i)
        others += dispatches[i].variant != plain->program.dispatches[i].variant ? 1 : 0;
    EXPECT_GT(others, dispatches.size() / 2);
    EXPECT_LT(errorOf(*tuned->session), 10 * kFp32Bound) << "as the network is deep";
    // and the same each time
    const std::vector<float> tensor = formulaInput(1, 64, 64);
    HostInput given;
    given.tensor = tensor;
    const std::vector<std::byte> first = output_;
    for (int i = 0; i < 1000; ++i) {
        std::ranges::fill(output_, std::byte{0});
        const Status status = tuned->session->run(given, output_);
        ASSERT_TRUE(status.ok()) << status.message();
        ASSERT_EQ(output_, first) << "run " << i;
    }
}

TEST_F(TuningTest, aDefaultThatTheDriverMiscompilesIsReportedAndReplaced) {
    // given a driver that miscompiles what the expanding layer has by default
    const std::set<Variant> defaults = defaultVariants(*device_, *model_);
    const auto compile = [&](const Variant& variant) {
        const bool isExpanding = variant.kernel == Kernel::Pointwise &&
                                 variant.constants[constant_id::kActivation] == uint32_t(Activation::HardSwish);
        return Miscompilation{isExpanding && defaults.contains(variant), 0};
    };
    openWith(compile);
    const auto plain = createSession(0);
    ASSERT_TRUE(plain.ok()) << plain.status().message();
    ASSERT_GT(miscompilingVulkan().miscompiled, 0);
    ASSERT_GT(errorOf(*plain->session), 1e-3) << "else nothing is proved";
    // when the network is tuned
    const auto tuned = createSession(kAmpleMs);
    ASSERT_TRUE(tuned.ok()) << tuned.status().message();
    // then it computes what it should
    EXPECT_LT(errorOf(*tuned->session), kFp32Bound);
    // and a warning names the form, the device and what was wrong
    EXPECT_GE(tuned->report.formsRejected, 1u);
    const std::vector<std::string> warnings = notices(NoticeSeverity::Warning);
    ASSERT_EQ(warnings.size(), 1u);
    const Verdict& verdict = verdictOf("pointwise/16x16x8-24/hard-swish/fp32");
    EXPECT_NE(warnings[0].find(verdict.defaultForm), std::string::npos) << warnings[0];
    EXPECT_NE(warnings[0].find(device_->capabilities().name), std::string::npos) << warnings[0];
    EXPECT_NE(warnings[0].find(" instead of "), std::string::npos) << warnings[0];
    EXPECT_NE(warnings[0].find(verdict.form + " takes its place"), std::string::npos) << warnings[0];
    // and the file remembers it
    EXPECT_NE(verdict.form, verdict.defaultForm);
    ASSERT_EQ(verdict.rejected.size(), 1u);
    EXPECT_EQ(verdict.rejected[0].form, verdict.defaultForm);
    const auto kept = parseVerdicts(fileText(), Identity::of(device_->capabilities()));
    ASSERT_TRUE(kept);
    EXPECT_EQ(*kept, tuner_->store().verdicts());

    // when another process on that driver has no time for tuning
    openWith(compile);
    const auto later = createSession(0);
    ASSERT_TRUE(later.ok()) << later.status().message();
    // then it is right as well
    EXPECT_EQ(later->report.formsTried, 0u);
    EXPECT_LT(errorOf(*later->session), kFp32Bound);
}

TEST_F(TuningTest, formsThatAreWrongOrVaryAreReportedAndNeverChosen) {
    // given a driver that gets only the defaults right: of the rest some are wrong, some are right once, and some four
    // times, and vary then
    const std::set<Variant> defaults = defaultVariants(*device_, *model_);
    openWith([&](const Variant& variant) {
        if (defaults.contains(variant) || variant.kernel == Kernel::Preprocess) return Miscompilation{};
        constexpr int kRightBinds[] = {0, 1, 4};
        const uint32_t mixed = variant.tileX + 2u * variant.tileY + uint32_t(variant.load) + variant.constants[0] / 16;
        return Miscompilation{true, kRightBinds[mixed % 3]};
    });
    // when the network is tuned
    SessionOptions separate;
    const auto tuned = createSession(kAmpleMs, separate);
    ASSERT_TRUE(tuned.ok()) << tuned.status().message();
    // then nothing but the defaults is taken
    EXPECT_GT(miscompilingVulkan().miscompiled, 10);
    for (const Dispatch& dispatch : tuned->session->program().dispatches) {
        if (dispatch.variant.kernel == Kernel::Preprocess) continue;
        EXPECT_TRUE(defaults.contains(dispatch.variant)) << describe(dispatch.variant);
    }
    EXPECT_LT(errorOf(*tuned->session), kFp32Bound);
    // and what was wrong is told of, and kept with the reason
    EXPECT_GT(tuned->report.formsRejected, 10u);
    EXPECT_EQ(notices(NoticeSeverity::Info).size(), tuned->report.formsRejected);
    std::set<std::string> reasons;
    for (const auto& [key, verdict] : tuner_->store().verdicts().problems) {
        for (const Rejection& rejection : verdict.rejected) {
            EXPECT_NE(rejection.form, verdict.form) << key;
            reasons.insert(rejection.why);
        }
    }
    EXPECT_TRUE(reasons.contains("its bits differ when it is repeated"));
    EXPECT_GT(reasons.size(), 3u) << "wrong values are described";
}

TEST_F(TuningTest, preprocessIsTunedForEverySourceThatASessionMayHave) {
    // given a driver that gets other workgroups than the default's wrong for images alone, which no session asks for
    const std::set<Variant> defaults = defaultVariants(*device_, *model_);
    openWith([&](const Variant& variant) {
        const auto isUsual = [&](const Variant& usual) {
            return usual.kernel == Kernel::Preprocess && usual.constants == variant.constants;
        };
        const bool isImage = variant.kernel == Kernel::Preprocess && variant.tileX == params::kSourceImage;
        return Miscompilation{isImage && std::ranges::none_of(defaults, isUsual), 0};
    });
    vulkan::VulkanSessionOptions pixelsOnly;
    pixelsOnly.inputKinds = vulkan::kInputPixels;
    const auto tuned = createTunedSession(*backend_, *tuner_, model_, pixelsOnly, kAmpleMs);
    ASSERT_TRUE(tuned.ok()) << tuned.status().message();
    // then they are all refused
    const Verdict& verdict = verdictOf("preprocess");
    EXPECT_EQ(verdict.form, verdict.defaultForm);
    EXPECT_GE(verdict.rejected.size(), 3u);
    for (const Rejection& rejection : verdict.rejected)
        EXPECT_TRUE(rejection.why.starts_with("with it comes image")) << rejection.why;
}

TEST_F(TuningTest, whereNoFormOfAKernelIsRightThereIsNoSession) {
    openWith([](const Variant& variant) { return Miscompilation{variant.kernel == Kernel::Depthwise, 0}; });
    const auto tuned = createSession(kAmpleMs);
    ASSERT_FALSE(tuned.ok());
    EXPECT_EQ(tuned.status().code(), StatusCode::DeviceError);
    EXPECT_NE(tuned.status().message().find("depthwise/16x16x24/k5s1/relu/squeeze"), std::string::npos)
        << tuned.status().message();
}

TEST_F(TuningTest, laterProcessesTakeVerdictsFromFilesWithoutRunningAnything) {
    ASSERT_TRUE(createSession(kAmpleMs).ok());
    const Verdicts found = tuner_->store().verdicts();
    const fs::path file = tuner_->store().file();
    const std::string text = fileText();
    EXPECT_EQ(std::distance(fs::directory_iterator(folder_), fs::directory_iterator()), 1) << "no temporary is left";

    const fs::path shippedFolder = folder_ / "shipped";
    fs::create_directories(shippedFolder);
    fs::rename(file, shippedFolder / file.filename());
    const VerdictSources sources[] = {{{}, shippedFolder, {}},
                                      {{}, shippedFolder / file.filename(), {}},
                                      {std::as_bytes(std::span(text)), {}, {}},
                                      {{}, {}, shippedFolder}};
    for (const VerdictSources& source : sources) {
        openWith(nullptr, source);
        EXPECT_EQ(tuner_->store().verdicts().table(), found.table());
        const bool isShipped = source.folder.empty();
        const auto session = createSession(isShipped ? 0 : kAmpleMs);
        ASSERT_TRUE(session.ok()) << session.status().message();
        EXPECT_EQ(session->report.tuned, session->report.problems);
        EXPECT_EQ(session->report.formsTried, 0u);
        EXPECT_LT(errorOf(*session->session), kFp32Bound);
        EXPECT_TRUE(notices_.empty()) << notices_.front().second;
    }
}

TEST_F(TuningTest, shippedFormsAreVerifiedOnceThereIsABudget) {
    // given a file of a device whose driver gets everything right, which says that another form than the default's wins
    ASSERT_TRUE(createSession(kAmpleMs).ok());
    Verdicts shipped = tuner_->store().verdicts();
    Verdict& told = shipped.problems.at("pointwise/16x16x8-24/hard-swish/fp32");
    if (told.form == told.defaultForm) {
        ASSERT_FALSE(told.lost.empty());
        told.form = told.lost.back();
        told.lost.pop_back();
    }
    const std::string text = toText(shipped, Identity::of(device_->capabilities()));
    // when it is used on a driver that gets all but the defaults of that layer wrong
    const std::set<Variant> defaults = defaultVariants(*device_, *model_);
    const auto compile = [&](const Variant& variant) {
        const bool isExpanding = variant.kernel == Kernel::Pointwise &&
                                 variant.constants[constant_id::kActivation] == uint32_t(Activation::HardSwish);
        return Miscompilation{isExpanding && !defaults.contains(variant), 0};
    };
    openWith(compile, {std::as_bytes(std::span(text)), {}, folder_ / "later"});
    const auto tuned = createSession(kAmpleMs);
    ASSERT_TRUE(tuned.ok()) << tuned.status().message();
    // then the form is found out, and nothing that it had beaten takes its place
    const Verdict& verdict = verdictOf("pointwise/16x16x8-24/hard-swish/fp32");
    EXPECT_EQ(verdict.form, verdict.defaultForm);
    EXPECT_TRUE(verdict.complete);
    EXPECT_LT(errorOf(*tuned->session), kFp32Bound);
    // and what the file was right about cost two forms each
    EXPECT_LT(tuned->report.formsTried, 2 * tuned->report.problems + verdict.tried + 8);
}

TEST_F(TuningTest, sessionsOfOtherBatchesAreProblemsOfTheirOwn) {
    ASSERT_TRUE(createSession(kAmpleMs).ok());
    SessionOptions options;
    options.batch = 3;
    const auto untuned = createSession(0, options);
    ASSERT_TRUE(untuned.ok()) << untuned.status().message();
    // preprocess is one problem for every image of every batch
    EXPECT_EQ(untuned->report.tuned, 1u);
    EXPECT_LT(errorOf(*untuned->session), kFp32Bound);
    const auto tuned = createSession(kAmpleMs, options);
    ASSERT_TRUE(tuned.ok()) << tuned.status().message();
    EXPECT_EQ(tuned->report.tuned, tuned->report.problems);
    EXPECT_LT(errorOf(*tuned->session), kFp32Bound);
}

TEST_F(TuningTest, filesOfOthersDoNoHarm) {
    ASSERT_TRUE(createSession(kAmpleMs).ok());
    const fs::path file = tuner_->store().file();
    const std::string text = fileText();
    std::string slow = text, absurd = text;
    // a form that the library does not have, and another's
    for (size_t at; (at = absurd.find("texel")) != std::string::npos;) absurd.replace(at, 5, "tile9");
    const std::pair<std::string, bool> contents[] = {{"", false},
                                                     {"{}", false},
                                                     {text.substr(0, text.size() / 2), false},
                                                     {std::string(1 << 20, '['), false},
                                                     {std::string("\0\xff\n", 3), false},
                                                     {absurd, true}};
    for (const auto& [content, isWellFormed] : contents) {
        std::ofstream(file, std::ios::binary | std::ios::trunc) << content;
        openWith(nullptr);
        const auto session = createSession(0);
        ASSERT_TRUE(session.ok()) << session.status().message();
        EXPECT_LT(errorOf(*session->session), kFp32Bound);
        const std::set<Variant> defaults = defaultVariants(*device_, *model_);
        if (!isWellFormed) {
            EXPECT_EQ(session->report.tuned, 0u);
            for (const Dispatch& dispatch : session->session->program().dispatches)
                EXPECT_TRUE(defaults.contains(dispatch.variant)) << describe(dispatch.variant);
        }
        ASSERT_FALSE(notices_.empty()) << content.substr(0, 20);
        EXPECT_EQ(notices_[0].first, NoticeSeverity::Info);
    }
}

TEST_F(TuningTest, aFileMayHaveBlocksFusedThatAreSeparateByDefault) {
    // given a file that says that the expanding layer and the depthwise one behind it are faster as one
    const auto plain = createSession(0);
    ASSERT_TRUE(plain.ok()) << plain.status().message();
    const size_t separate = plain->session->program().dispatches.size();
    Verdicts verdicts;
    verdicts.blocks["inverted_residual/16x16x8-24/k5s1/relu/first-hard-swish/squeeze/fp32"] = {true, 1, 2};
    verdicts.blocks["pooled_linear/16x16x8-10/fp32"] = {false, 2, 1};
    std::ofstream(tuner_->store().file()) << toText(verdicts, Identity::of(device_->capabilities()));
    // when a session is created with the default plan
    openWith(nullptr);
    const auto fused = createSession(0);
    ASSERT_TRUE(fused.ok()) << fused.status().message();
    // then it has one dispatch less, and computes the same
    EXPECT_EQ(fused->session->program().dispatches.size(), separate - 1);
    EXPECT_LT(errorOf(*fused->session), kFp32Bound);
}

TEST_F(TuningTest, cancellingLeavesWhatWasFoundOutAndNothingElse) {
    SessionOptions options;
    float last = 0;
    int calls = 0;
    options.progress = [&](float done) {
        EXPECT_GE(done, last);
        last = done;
        return ++calls < 200;
    };
    const auto cancelled = createSession(kAmpleMs, options);
    ASSERT_FALSE(cancelled.ok());
    EXPECT_EQ(cancelled.status().code(), StatusCode::Cancelled) << cancelled.status().message();
    const size_t known = tuner_->store().verdicts().problems.size();
    EXPECT_GT(known, 0u);
    EXPECT_LT(known, 9u);
    const auto kept = parseVerdicts(fileText(), Identity::of(device_->capabilities()));
    ASSERT_TRUE(kept);
    EXPECT_EQ(kept->problems.size(), known);
}

TEST_F(TuningTest, whoDoesNotTuneWaitsForNobodyAndWhoDoesCanBeCancelled) {
    // given something that is known, and a thread that tunes a batch of three until it is told to stop
    ASSERT_TRUE(createSession(kAmpleMs).ok());
    std::promise<void> hasBegun;
    std::atomic<bool> maySignal = true, mustStop = false;
    std::thread tuning([&] {
        SessionOptions options;
        options.batch = 3;
        options.progress = [&](float) {
            if (maySignal.exchange(false)) hasBegun.set_value();
            while (!mustStop) std::this_thread::sleep_for(std::chrono::milliseconds(5));
            return false;
        };
        EXPECT_EQ(createSession(kAmpleMs, options).status().code(), StatusCode::Cancelled);
    });
    hasBegun.get_future().wait();
    // when others create sessions meanwhile, then one without a budget gets it
    const auto untuned = createSession(0);
    EXPECT_TRUE(untuned.ok()) << untuned.status().message();
    // and one with a budget can be cancelled
    SessionOptions impatient;
    int calls = 0;
    impatient.progress = [&](float) { return ++calls < 3; };
    EXPECT_EQ(createSession(kAmpleMs, impatient).status().code(), StatusCode::Cancelled);
    EXPECT_EQ(calls, 3);
    // or waits no longer than its budget
    const auto waited = createSession(100);
    EXPECT_TRUE(waited.ok()) << waited.status().message();
    if (waited.ok()) {
        EXPECT_EQ(waited->report.tuned, waited->report.problems);
    }
    EXPECT_FALSE(mustStop);
    mustStop = true;
    tuning.join();
}

TEST_F(TuningTest, theBudgetIsKept) {
    // On a machine that is busy with other things, too: a budget that suffices for a few problems.
    constexpr double kBudgetMs = 400, kSlackMs = 1500;
    const auto tuned = createSession(kBudgetMs);
    ASSERT_TRUE(tuned.ok()) << tuned.status().message();
    EXPECT_LT(tuned->report.milliseconds, kBudgetMs + kSlackMs);
    EXPECT_LT(tuned->report.tuned, tuned->report.problems);
    EXPECT_LT(errorOf(*tuned->session), kFp32Bound);
}

}  // namespace
}  // namespace dunlin::tuning
