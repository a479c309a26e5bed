#include "runtime/tuning/kernel_case.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <utility>

#include "runtime/plan/prepack.h"
#include "runtime/tuning/case_id.h"

namespace dunlin::tuning {
namespace {

using Bytes = std::span<const std::byte>;
using Expected = CaseData::Expected;

constexpr double kWrong = std::numeric_limits<double>::infinity();

// The element at `offset`; infinite past the end.
double elementAt(Bytes bytes, uint64_t offset, Precision precision) {
    if (offset + static_cast<uint64_t>(elementSize(precision)) > bytes.size()) return kWrong;
    if (precision == Precision::Fp32) {
        float value;
        std::memcpy(&value, &bytes[offset], sizeof value);
        return double{value};
    }
    uint16_t half;
    std::memcpy(&half, &bytes[offset], sizeof half);
    return double{fromHalf(half)};
}

bool isInteger(Bytes bytes, uint64_t offset, double expected) {
    uint32_t value;
    if (offset + sizeof value > bytes.size()) return false;
    std::memcpy(&value, &bytes[offset], sizeof value);
    return double{static_cast<double>(value)} == expected;
}

double worse(double error, double other) {
    return other <= error ? error : std::isfinite(other) ? other : kWrong;
}

double errorOfElements(const Expected& expected, Bytes bytes) {
    double error = 0;
    for (size_t i = 0; i < expected.values.size(); ++i) {
        const uint64_t offset = expected.offsets[i];
        if (expected.isInteger) {
            if (!isInteger(bytes, offset, expected.values[i])) return kWrong;
            continue;
        }
        double value = elementAt(bytes, offset, expected.precision);
        if (expected.stored == Expected::Stored::TwoParts)
            value +=
                elementAt(bytes, offset + static_cast<uint64_t>(elementSize(expected.precision)), expected.precision);
        error = worse(error, std::abs(value - expected.values[i]));
    }
    return error;
}

// Float32 sums of each image and channel, over all partials, against the means that they make.
double errorOfSums(const Expected& expected, Bytes bytes) {
    const auto images = static_cast<size_t>(expected.sumsShape.n), channels = static_cast<size_t>(expected.sumsShape.c);
    const size_t lanes = roundUp(channels, size_t{kChannelGroup});
    const size_t partials = bytes.size() / (images * lanes * sizeof(float));
    if (partials == 0) return kWrong;
    double error = 0;
    for (size_t image = 0; image < images; ++image) {
        for (size_t lane = 0; lane < lanes; ++lane) {
            double sum = 0;
            for (size_t partial = 0; partial < partials; ++partial) {
                const size_t element = (image * partials + partial) * lanes + lane;
                sum += elementAt(bytes, element * sizeof(float), Precision::Fp32);
            }
            const bool isPadding = lane >= channels;
            if (isPadding && sum != 0) return kWrong;
            if (!isPadding)
                error = worse(error, std::abs(sum / expected.pixels - expected.values[image * channels + lane]));
        }
    }
    return error;
}

double errorOf(const Expected& expected, Bytes bytes) {
    for (const uint64_t offset : expected.padding) {
        if (elementAt(bytes, offset, expected.precision) != 0) return kWrong;
    }
    for (const uint64_t offset : expected.others) {
        if (!std::isfinite(elementAt(bytes, offset, expected.precision))) return kWrong;
    }
    return expected.stored == Expected::Stored::PartialSums ? errorOfSums(expected, bytes)
                                                            : errorOfElements(expected, bytes);
}

}  // namespace

std::vector<KernelCase> casesOf(std::span<const std::shared_ptr<const SourceNetwork>> networks) {
    std::vector<KernelCase> cases;
    std::map<std::pair<std::string, Precision>, size_t> known;
    for (const std::shared_ptr<const SourceNetwork>& network : networks) {
        for (size_t dispatch = 0; dispatch < network->lowered.origins.size(); ++dispatch) {
            const std::string id = caseId(*network, dispatch);
            const auto [at, isNew] = known.try_emplace({id, network->lowered.program.precision}, cases.size());
            if (isNew) cases.push_back({id, network, dispatch, {}});
            std::vector<std::string>& names = cases[at->second].networks;
            if (std::ranges::count(names, network->name) == 0) names.push_back(network->name);
        }
    }
    return cases;
}

double maxRelativeError(const KernelCase&, const CaseData& data, const FormedCase& form,
                        const std::map<TensorId, std::vector<std::byte>>& written) {
    double largest = 0, error = 0;
    for (const Expected& expected : data.expected) {
        const auto bytes = written.find(expected.tensor), end = written.end();
        if (bytes == end || bytes->second.size() != form.tensorBytes.at(expected.tensor)) return kWrong;
        error = worse(error, errorOf(expected, bytes->second));
        if (expected.isInteger) continue;
        for (const double value : expected.values) largest = std::max(largest, std::abs(value));
    }
    return largest > 0 ? error / largest : error;
}

}  // namespace dunlin::tuning
