#include "tools/bench/ceilings.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "tools/bench/ceilings_parts.h"
#include "tools/dunlin/internals.h"

namespace dunlin::bench {
namespace {

using cli::ExitStatus;
using cli::Failure;
using Json = nlohmann::ordered_json;

constexpr double kGiga = 1e9, kMicro = 1e-3;  // of operations and bytes; of nanoseconds

Json gigaOrNull(const std::optional<double>& perSecond) {
    return perSecond ? Json(*perSecond / kGiga) : Json(nullptr);
}

bool isAmount(const Json& value) {
    return value.is_number() && std::isfinite(value.get<double>()) && value.get<double>() >= 0;
}

Failure badField(const std::string& field) {
    return {ExitStatus::BadInput, fmt::format("{} of the ceilings is no number from 0 on", field)};
}

// The number of a field; nothing where it is null or absent.
Outcome<std::optional<double>> amountOf(const Json& object, const char* field, double unit) {
    const auto found = object.find(field);
    if (found == object.end() || found->is_null()) return std::optional<double>();
    if (!isAmount(*found)) return badField(field);
    return std::optional(found->get<double>() * unit);
}

Outcome<std::vector<BandwidthPoint>> bandwidthOf(const Json& object) {
    std::vector<BandwidthPoint> points;
    const auto found = object.find("bandwidth");
    if (found == object.end()) return points;
    if (!found->is_array()) return Failure{ExitStatus::BadInput, "bandwidth of the ceilings is no list"};
    for (const Json& point : *found) {
        if (!point.is_object() || !point.contains("bytes") || !point["bytes"].is_number_integer() ||
            !isAmount(point["bytes"]) || !point.contains("gbps") || !isAmount(point["gbps"])) {
            return badField(fmt::format("bandwidth[{}]", points.size()));
        }
        points.push_back({point["bytes"].get<uint64_t>(), point["gbps"].get<double>() * kGiga});
        if (points.size() > 1 && points.back().workingSetBytes <= points[points.size() - 2].workingSetBytes) {
            return Failure{ExitStatus::BadInput, "the working sets of the ceilings do not ascend"};
        }
    }
    return points;
}

}  // namespace

double Ceilings::bytesPerSecond(uint64_t workingSetBytes) const {
    if (bandwidth.empty()) return 0;
    const auto above = std::ranges::lower_bound(bandwidth, workingSetBytes, {}, &BandwidthPoint::workingSetBytes);
    if (above == bandwidth.begin()) return bandwidth.front().bytesPerSecond;
    if (above == bandwidth.end()) return bandwidth.back().bytesPerSecond;
    // Straight over the logarithm of the size: the points double.
    const BandwidthPoint& low = *(above - 1);
    const double span =
        std::log2(static_cast<double>(above->workingSetBytes) / static_cast<double>(low.workingSetBytes));
    const double share =
        std::log2(static_cast<double>(workingSetBytes) / static_cast<double>(low.workingSetBytes)) / span;
    return low.bytesPerSecond + share * (above->bytesPerSecond - low.bytesPerSecond);
}

double Ceilings::limitNs(const DispatchCost& cost, Precision precision) const {
    double rate = fp32.value_or(0);
    if (precision == Precision::Fp16) {
        rate = std::max(rate, fp16.value_or(0));
        if (cost.isMatrixProduct) rate = std::max(rate, matrix.value_or(0));
    }
    const double bandwidthNow = bytesPerSecond(cost.bytes);
    const double moving = bandwidthNow > 0 ? static_cast<double>(cost.bytes) / bandwidthNow : 0;
    const double computing = rate > 0 ? static_cast<double>(cost.flops) / rate : 0;
    return std::max(moving, computing) * 1e9;
}

double Ceilings::dispatchLimitNs(const DispatchCost& cost, Precision precision) const {
    return limitNs(cost, precision) + barrierNs;
}

std::vector<uint64_t> workingSets(uint64_t mostBytes) {
    std::vector<uint64_t> sets;
    for (uint64_t bytes = uint64_t{16} << 10; bytes <= mostBytes; bytes *= 2) sets.push_back(bytes);
    return sets;
}

Outcome<Ceilings> measureCeilings(const Target& target) {
    if (target.isCpu()) return measureCpuCeilings(target.threads);
    return cli::outcomeOf(measureVulkanCeilings(*target.device));
}

Json jsonOf(const Ceilings& ceilings) {
    Json bandwidth = Json::array();
    for (const BandwidthPoint& point : ceilings.bandwidth) {
        bandwidth.push_back({{"bytes", point.workingSetBytes}, {"gbps", point.bytesPerSecond / kGiga}});
    }
    return {{"fp32Gflops", gigaOrNull(ceilings.fp32)},  {"fp16Gflops", gigaOrNull(ceilings.fp16)},
            {"int8Gops", gigaOrNull(ceilings.int8)},    {"matrixGflops", gigaOrNull(ceilings.matrix)},
            {"bandwidth", std::move(bandwidth)},        {"dispatchUs", ceilings.dispatchNs * kMicro},
            {"barrierUs", ceilings.barrierNs * kMicro}, {"submitUs", ceilings.submitNs * kMicro}};
}

Outcome<Ceilings> ceilingsFromJson(const Json& json) {
    if (!json.is_object()) return Failure{ExitStatus::BadInput, "the ceilings are no object"};
    Ceilings result;
    const std::tuple<const char*, std::optional<double>*> rates[] = {{"fp32Gflops", &result.fp32},
                                                                     {"fp16Gflops", &result.fp16},
                                                                     {"int8Gops", &result.int8},
                                                                     {"matrixGflops", &result.matrix}};
    for (const auto& [field, rate] : rates) {
        DUNLIN_CLI_ASSIGN(*rate, amountOf(json, field, kGiga));
    }
    const std::tuple<const char*, double*> times[] = {
        {"dispatchUs", &result.dispatchNs}, {"barrierUs", &result.barrierNs}, {"submitUs", &result.submitNs}};
    for (const auto& [field, time] : times) {
        DUNLIN_CLI_ASSIGN(const std::optional<double> amount, amountOf(json, field, 1 / kMicro));
        *time = amount.value_or(0);
    }
    DUNLIN_CLI_ASSIGN(result.bandwidth, bandwidthOf(json));
    return result;
}

}  // namespace dunlin::bench
