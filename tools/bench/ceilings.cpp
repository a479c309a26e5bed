#include "tools/bench/ceilings.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "tools/bench/ceilings_parts.h"
#include "tools/dunlin/internals.h"

namespace dunlin::bench {
namespace {

using Json = nlohmann::ordered_json;

constexpr double kGiga = 1e9, kMicrosecondsPerNs = 1e-3;

Json gigaOrNull(const std::optional<double>& perSecond) {
    return perSecond ? Json(*perSecond / kGiga) : Json(nullptr);
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
    if (target.isCpu()) return cli::outcomeOf(measureCpuCeilings(target.threads));
    return cli::outcomeOf(measureVulkanCeilings(target.device));
}

Json jsonOf(const Ceilings& ceilings) {
    Json bandwidth = Json::array();
    for (const BandwidthPoint& point : ceilings.bandwidth) {
        bandwidth.push_back({{"bytes", point.workingSetBytes}, {"gbps", point.bytesPerSecond / kGiga}});
    }
    return {{"fp32Gflops", gigaOrNull(ceilings.fp32)},
            {"fp16Gflops", gigaOrNull(ceilings.fp16)},
            {"int8Gops", gigaOrNull(ceilings.int8)},
            {"matrixGflops", gigaOrNull(ceilings.matrix)},
            {"bandwidth", std::move(bandwidth)},
            {"dispatchUs", ceilings.dispatchNs * kMicrosecondsPerNs},
            {"barrierUs", ceilings.barrierNs * kMicrosecondsPerNs},
            {"submitUs", ceilings.submitNs * kMicrosecondsPerNs}};
}

}  // namespace dunlin::bench
