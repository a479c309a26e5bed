#include "tools/bench/network_check.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "models/reference_file.h"
#include "runtime/cpu/cpu_session.h"
#include "runtime/weights/synthetic.h"

namespace dunlin::bench {
namespace {

SessionOptions optionsOf(const ModelRun& run, Precision precision) {
    SessionOptions options;
    options.batch = run.input.n;
    options.height = run.input.h;
    options.width = run.input.w;
    options.precision = precision;
    options.fusion = run.fusion;
    options.forms = run.forms;
    return options;
}

Result<std::vector<float>> logitsOf(Session& session, const std::vector<float>& tensor) {
    std::vector<std::byte> output(session.outputBytes());
    DUNLIN_TRY(session.run({{}, tensor}, output));
    const OutputSlice& logits = session.outputs().front();
    std::vector<float> values(logits.sizeBytes / sizeof(float));
    std::memcpy(values.data(), output.data() + logits.offsetBytes, logits.sizeBytes);
    return values;
}

std::vector<float> inputOf(const ModelRun& run) {
    return formulaInput(run.input.n, run.input.h, run.input.w);
}

}  // namespace

double maxRelativeError(std::span<const float> values, std::span<const float> expected) {
    double error = 0, largest = 0;
    for (size_t i = 0; i < expected.size(); ++i) {
        if (!std::isfinite(values[i])) return std::numeric_limits<double>::infinity();
        error = std::max(error, std::abs(double{values[i]} - double{expected[i]}));
        largest = std::max(largest, std::abs(double{expected[i]}));
    }
    return largest > 0 ? error / largest : error > 0 ? std::numeric_limits<double>::infinity() : 0;
}

Result<std::vector<float>> cpuLogits(const ModelRun& run) {
    constexpr int kAllThreads = 0;
    DUNLIN_ASSIGN(const std::unique_ptr<Session> session,
                  createCpuSession(run.network->data, optionsOf(run, Precision::Fp32), kAllThreads));
    return logitsOf(*session, inputOf(run));
}

Result<NetworkCheck> checkNetwork(vulkan::VulkanBackend& backend, const ModelRun& run, std::span<const float> expected,
                                  std::shared_ptr<void>& lost) {
    vulkan::VulkanSessionOptions options;
    options.session = optionsOf(run, *run.precision);
    options.inputKinds = vulkan::kInputTensors;
    const std::shared_ptr<const ModelData> model(run.network, &run.network->data);
    DUNLIN_ASSIGN(const std::shared_ptr<vulkan::VulkanSession> session, backend.createSession(model, options));
    const std::vector<float> tensor = inputOf(run);
    const auto compare = [&]() -> Result<NetworkCheck> {
        DUNLIN_ASSIGN(const std::vector<float> first, logitsOf(*session, tensor));
        DUNLIN_ASSIGN(const std::vector<float> second, logitsOf(*session, tensor));
        const bool isSame = std::memcmp(first.data(), second.data(), first.size() * sizeof(float)) == 0;
        return NetworkCheck{maxRelativeError(first, expected), referenceBound(*run.precision), isSame};
    };
    Result<NetworkCheck> check = compare();
    if (check.status().code() == StatusCode::DeviceLost) lost = session;
    return check;
}

}  // namespace dunlin::bench
