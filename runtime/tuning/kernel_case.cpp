#include "runtime/tuning/kernel_case.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <limits>
#include <optional>
#include <utility>

#include "runtime/plan/case_id.h"
#include "runtime/plan/prepack.h"

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

// The uint32 at `offset`; infinite past the end.
double integerAt(Bytes bytes, uint64_t offset) {
    uint32_t value;
    if (offset + sizeof value > bytes.size()) return kWrong;
    std::memcpy(&value, &bytes[offset], sizeof value);
    return static_cast<double>(value);
}

double worse(double error, double other) {
    return other <= error ? error : std::isfinite(other) ? other : kWrong;
}

double errorOfElements(const Expected& expected, Bytes bytes) {
    double error = 0;
    for (size_t i = 0; i < expected.values.size(); ++i) {
        const uint64_t offset = expected.offsets[i];
        if (expected.isInteger) {
            if (integerAt(bytes, offset) != expected.values[i]) return kWrong;
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
            if (offset + elements * elementBytes > isWritten.size()) continue;  // told of as missing
            std::fill_n(isWritten.begin() + static_cast<std::ptrdiff_t>(offset), elements * elementBytes, true);
        }
    }
}

// Where something that is not the dispatch's to write has lost the 0xff that the runner filled it with; nothing where
// all kept it.
struct Trespass {
    TensorId tensor = -1;
    size_t offset = 0;
};
std::optional<Trespass> findTrespass(const CaseData& data, const std::map<TensorId, std::vector<std::byte>>& written) {
    std::map<TensorId, std::vector<bool>> isWritten;
    for (const Expected& expected : data.expected) {
        std::vector<bool>& marks = isWritten[expected.tensor];
        marks.resize(written.at(expected.tensor).size());
        markWritten(expected, marks);
    }
    for (const auto& [tensor, marks] : isWritten) {
        const std::vector<std::byte>& bytes = written.at(tensor);
        for (size_t i = 0; i < bytes.size(); ++i) {
            if (!marks[i] && bytes[i] != std::byte{0xff}) return Trespass{tensor, i};
        }
    }
    return std::nullopt;
}

// Elements of one tensor that are not what they should be.
struct Mismatches {
    size_t elements = 0, unwritten = 0, notFinite = 0;
    size_t firstUnwritten = 0, firstNotFinite = 0;
    size_t worst = 0;  // of the finite ones
    double worstValue = 0, worstError = 0;
};

Mismatches mismatchesOf(const Expected& expected, Bytes bytes) {
    Mismatches found;
    found.elements = expected.offsets.size();
    const auto elementBytes = static_cast<size_t>(expected.isInteger ? 4 : elementSize(expected.precision));
    for (size_t i = 0; i < expected.offsets.size(); ++i) {
        const uint64_t offset = expected.offsets[i];
        if (offset + elementBytes > bytes.size()) continue;
        const Bytes element = bytes.subspan(offset, elementBytes);
        const double value =
            expected.isInteger ? integerAt(bytes, offset) : elementAt(bytes, offset, expected.precision);
        const double error = std::abs(value - expected.values[i]);
        if (std::ranges::all_of(element, [](std::byte byte) { return byte == std::byte{0xff}; })) {
            if (found.unwritten++ == 0) found.firstUnwritten = i;
        } else if (!std::isfinite(value)) {
            if (found.notFinite++ == 0) found.firstNotFinite = i;
        } else if (error > found.worstError) {
            found.worst = i;
            found.worstValue = value;
            found.worstError = error;
        }
    }
    return found;
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

std::string caseId(const SourceNetwork& network, size_t dispatch) {
    return dunlin::caseId(network.graph, network.lowered.origins[dispatch], network.preprocess);
}

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
    if (findTrespass(data, written)) return kWrong;
    return worse(ownError, largest > 0 ? error / largest : error);
}

std::string describeMismatch(const KernelCase& problem, const CaseData& data, const FormedCase& form,
                             const std::map<TensorId, std::vector<std::byte>>& written) {
    const std::vector<Tensor>& tensors = problem.network->lowered.program.tensors;
    const auto nameOf = [&](TensorId tensor) { return "'" + tensors[static_cast<size_t>(tensor)].name + "'"; };
    char numbers[160];
    for (const Expected& expected : data.expected) {
        const auto bytes = written.find(expected.tensor);
        if (bytes == written.end() || bytes->second.size() != form.tensorBytes.at(expected.tensor)) {
            return nameOf(expected.tensor) + " is missing";
        }
        const Mismatches found = mismatchesOf(expected, bytes->second);
        if (found.unwritten > 0) {
            std::snprintf(numbers, sizeof numbers,
                          "%zu of %zu elements were never written, the first is number %zu of ", found.unwritten,
                          found.elements, found.firstUnwritten);
            return numbers + nameOf(expected.tensor);
        }
        if (found.notFinite > 0) {
            std::snprintf(numbers, sizeof numbers, "%zu of %zu elements are not finite, the first is number %zu of ",
                          found.notFinite, found.elements, found.firstNotFinite);
            return numbers + nameOf(expected.tensor);
        }
    }
    if (const std::optional<Trespass> trespass = findTrespass(data, written)) {
        std::snprintf(numbers, sizeof numbers, "byte %zu, which is not its to write, was written in ",
                      trespass->offset);
        return numbers + nameOf(trespass->tensor);
    }
    for (const Expected& expected : data.expected) {
        for (const uint64_t offset : expected.padding) {
            if (elementAt(written.at(expected.tensor), offset, expected.precision) == 0) continue;
            return "lanes past the last channel of " + nameOf(expected.tensor) + " are not zero";
        }
    }
    const Expected* worstOf = nullptr;
    Mismatches worst;
    for (const Expected& expected : data.expected) {
        const Mismatches found = mismatchesOf(expected, written.at(expected.tensor));
        if (found.worstError <= worst.worstError) continue;
        worst = found;
        worstOf = &expected;
    }
    if (!worstOf) return "the partial sums do not add up to the mean of the output";
    std::snprintf(numbers, sizeof numbers, "element %zu of %zu is %g instead of %g in ", worst.worst, worst.elements,
                  worst.worstValue, worstOf->values[worst.worst]);
    return numbers + nameOf(worstOf->tensor);
}

}  // namespace dunlin::tuning
