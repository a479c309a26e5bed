#include "tools/dunlin/reference_run.h"

#include <cstring>
#include <memory>
#include <type_traits>
#include <vector>

#include "models/reference_file.h"
#include "runtime/api_support.h"
#include "tools/dunlin/internals.h"

namespace dunlin::cli {
namespace {

struct DestroySession {
    void operator()(DunlinSession session) const { dunlinDestroySession(session); }
};
using OwnedSession = std::unique_ptr<std::remove_pointer_t<DunlinSession>, DestroySession>;

Check check(DunlinStatus status, const DunlinError& error) {
    if (status == DUNLIN_SUCCESS) return {};
    return Failure{exitStatusOf(status), error.message};
}

DunlinBool forwardProgress(void* userData, float share) {
    (*static_cast<const std::function<void(float)>*>(userData))(share);
    return 1;
}

Outcome<OwnedSession> createSession(DunlinDevice device, std::shared_ptr<const Model> model, const Shape& input,
                                    const ReferenceRunOptions& wanted, const std::function<void(float)>& progress) {
    DunlinModel_T handle{std::make_shared<api::OpenModel>(api::OpenModel{std::move(model), 0, 0})};
    DunlinSessionOptions options = {};
    options.sType = DUNLIN_STRUCTURE_TYPE_SESSION_OPTIONS;
    options.batch = static_cast<uint32_t>(input.n);
    options.height = static_cast<uint32_t>(input.h);
    options.width = static_cast<uint32_t>(input.w);
    options.precision = wanted.precision;
    options.inputKinds = DUNLIN_INPUT_TENSOR;
    options.fusion = wanted.fusion;
    options.tuningBudgetMs = wanted.tuningBudgetMs;
    options.progress = forwardProgress;
    options.progressUserData = const_cast<std::function<void(float)>*>(&progress);
    DunlinSession session = nullptr;
    DunlinError error;
    DUNLIN_CLI_TRY(check(dunlinCreateSession(device, &handle, &options, &session, &error), error));
    return OwnedSession(session);
}

Outcome<std::vector<float>> runLogits(DunlinSession session, const DunlinSessionInfo& info,
                                      const std::vector<float>& tensor) {
    DunlinHostInput input = {};
    input.sType = DUNLIN_STRUCTURE_TYPE_HOST_INPUT;
    input.tensor = tensor.data();
    input.tensorElements = tensor.size();
    std::vector<std::byte> output(info.outputBytes);
    DunlinError error;
    DUNLIN_CLI_TRY(check(dunlinRun(session, &input, output.data(), output.size(), &error), error));

    DunlinOutputInfo logits = {};
    logits.sType = DUNLIN_STRUCTURE_TYPE_OUTPUT_INFO;
    DUNLIN_CLI_TRY(check(dunlinGetOutputInfo(session, DUNLIN_OUTPUT_LOGITS, &logits, &error), error));
    std::vector<float> values(logits.sizeBytes / sizeof(float));
    std::memcpy(values.data(), output.data() + logits.offsetBytes, values.size() * sizeof(float));
    return values;
}

Outcome<ReferenceVerdict> compare(const ReferenceFile& reference, DunlinDevice device,
                                  const ReferenceRunOptions& options, const std::function<void(float)>& progress) {
    DUNLIN_CLI_ASSIGN(std::shared_ptr<const Model> model, outcomeOf(openReferenceModel(reference)));
    DUNLIN_CLI_ASSIGN(const OwnedSession session,
                      createSession(device, std::move(model), reference.input, options, progress));
    DunlinSessionInfo info = {};
    info.sType = DUNLIN_STRUCTURE_TYPE_SESSION_INFO;
    DunlinError error;
    DUNLIN_CLI_TRY(check(dunlinGetSessionInfo(session.get(), &info, &error), error));
    DUNLIN_CLI_ASSIGN(const std::vector<float> logits, runLogits(session.get(), info, referenceInput(reference)));

    const Precision used = info.precision == DUNLIN_PRECISION_FP16 ? Precision::Fp16 : Precision::Fp32;
    const ReferenceComparison comparison = compareWithReference(reference, logits, used);
    return ReferenceVerdict{
        reference.model,      info.precision,       comparison.isFinite,   comparison.maxRelativeError,
        referenceBound(used), comparison.top1Equal, comparison.top1Counts, comparison.pass};
}

}  // namespace

Outcome<ReferenceVerdict> runReference(const std::string& file, DunlinDevice device, const ReferenceRunOptions& options,
                                       const std::function<void(float)>& progress) {
    DUNLIN_CLI_ASSIGN(const ReferenceFile reference, outcomeOf(loadReference(file)));
    Outcome<ReferenceVerdict> verdict = compare(reference, device, options, progress);
    if (!verdict.ok()) return Failure{verdict.failure().status, file + ": " + verdict.failure().message};
    return verdict;
}

std::string otherArchitectureOf(DunlinModel model) {
    return model->open->model->alsoFits;
}

std::string otherPublisherOf(DunlinModel model) {
    return model->open->model->otherPublisher;
}

}  // namespace dunlin::cli
