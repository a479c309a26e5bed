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

// Bytes of one tensor that the dispatch may write; all of partial sums.
void markWritten(const Expected& expected, std::vector<bool>& isWritten) {
    if (expected.stored == Expected::Stored::PartialSums) {
        isWritten.assign(isWritten.size(), true);
        return;
    }
    const auto elementBytes = static_cast<uint64_t>(expected.isInteger ? 4 : elementSize(expected.precision));
    const uint64_t elements = expected.stored == Expected::Stored::TwoParts ? 2 : 1;
    for (const auto* offsets : {&expected.offsets, &expected.padding, &expected.others}) {
        for (const uint64_t offset : *offsets) {
            const auto begin = isWritten.begin() + static_cast<std::ptrdiff_t>(offset);
            std::fill_n(begin, elements * elementBytes, true);
        }
    }
}

// Whether what is not the dispatch's to write has kept the 0xff that the runner filled it with.
bool leavesOthersAlone(const CaseData& data, const std::map<TensorId, std::vector<std::byte>>& written) {
    std::map<TensorId, std::vector<bool>> isWritten;
    for (const Expected& expected : data.expected) {
        std::vector<bool>& marks = isWritten[expected.tensor];
        marks.resize(written.at(expected.tensor).size());
        markWritten(expected, marks);
    }
    for (const auto& [tensor, marks] : isWritten) {
        const std::vector<std::byte>& bytes = written.at(tensor);
        for (size_t i = 0; i < bytes.size(); ++i) {
            if (!marks[i] && bytes[i] != std::byte{0xff}) return false;
        }
    }
    return true;
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
    const auto largestOf = [](const Expected& expected) {
        double largest = 0;
        for (const double value : expected.values) largest = std::max(largest, std::abs(value));
        return largest;
    };
    double largest = 0, error = 0, ownError = 0;
    for (const Expected& expected : data.expected) {
        const auto bytes = written.find(expected.tensor), end = written.end();
        if (bytes == end || bytes->second.size() != form.tensorBytes.at(expected.tensor)) return kWrong;
        const double its = errorOf(expected, bytes->second);
        if (expected.hasOwnScale) {
            ownError = worse(ownError, its / largestOf(expected));
            continue;
        }
        error = worse(error, its);
        if (!expected.isInteger) largest = std::max(largest, largestOf(expected));
    }
    if (!leavesOthersAlone(data, written)) return kWrong;
    return worse(ownError, largest > 0 ? error / largest : error);
}

}  // namespace dunlin::tuning
