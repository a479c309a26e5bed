#include "runtime/tuning/race.h"

#include <algorithm>
#include <cmath>

namespace dunlin::tuning {
namespace {

constexpr size_t kRounds = 9, kNoisyRounds = 25;
constexpr double kNoise = 0.1;  // interquartile range over the median
// Of all rounds, in which a winner must be faster than the other was in the same one.
constexpr double kWonRounds = 0.6;
// Processor time of a winner, over the other's: more threads that wait less may cost a little.
constexpr double kMostExpense = 1.05;
// What takes so much longer than another leaves the race, from this round on.
constexpr double kHopeless = 1.25;
constexpr size_t kFirstLeaving = 3;
// A clock may say that nothing passed.
constexpr double kShortestNs = 1;

double quantile(std::vector<double> values, double share) {
    if (values.empty()) return 0;
    std::ranges::sort(values);
    return values[static_cast<size_t>(std::lround(share * static_cast<double>(values.size() - 1)))];
}

std::vector<double> ratiosOf(const std::vector<double>& values, const std::vector<double>& others) {
    std::vector<double> ratios;
    for (size_t i = 0; i < std::min(values.size(), others.size()); ++i) ratios.push_back(values[i] / others[i]);
    return ratios;
}

}  // namespace

Status Contender::sample(const RaceTools& tools) {
    double timeNs = 0, processorNs = 0;
    for (const Part& part : parts_) {
        const double beginMs = tools.processorMs ? tools.processorMs() : 0;
        DUNLIN_ASSIGN(const double ns, part.runner->timeNs(part.repeats));
        if (tools.processorMs) processorNs += (tools.processorMs() - beginMs) * 1e6 / part.repeats;
        timeNs += ns;
    }
    timesNs_.push_back(std::max(timeNs, kShortestNs));
    processorNs_.push_back(std::max(processorNs, kShortestNs));
    return {};
}

double Contender::typicalNs() const {
    return quantile(timesNs_, 0.25);
}

bool Contender::isNoisy() const {
    return quantile(timesNs_, 0.75) - quantile(timesNs_, 0.25) > kNoise * quantile(timesNs_, 0.5);
}

bool Contender::beats(const Contender& usual) const {
    if (samples() < kFewestRounds || usual.samples() < samples()) return false;
    const bool isFaster = typicalNs() <= (1 - kWinningShare) * usual.typicalNs();
    const bool isMostlyFaster = quantile(ratiosOf(timesNs_, usual.timesNs_), kWonRounds) < 1;
    const bool isDearer = quantile(ratiosOf(processorNs_, usual.processorNs_), 0.5) > kMostExpense;
    return isFaster && isMostlyFaster && !isDearer;
}

Status race(std::vector<Contender*> contenders, const RaceTools& tools, const std::function<bool()>& isLate) {
    const auto isOver = [&](size_t rounds) {
        if (rounds > 0 && isLate()) return true;
        if (rounds < kRounds) return false;
        return rounds >= kNoisyRounds || !contenders.front()->isNoisy();
    };
    const auto leave = [&] {
        double fastest = INFINITY;
        for (const Contender* one : contenders) fastest = std::min(fastest, one->typicalNs());
        for (Contender* one : contenders) {
            if (one != contenders.front() && one->typicalNs() > kHopeless * fastest) one->isRacing = false;
        }
    };
    for (size_t round = 0; !isOver(round); ++round) {
        size_t racing = 0;
        for (size_t i = 0; i < contenders.size(); ++i) {
            Contender& one = *contenders[(i + round) % contenders.size()];
            if (!one.isRacing) continue;
            if (!tools.mayGoOn()) return Status(StatusCode::Cancelled, "cancelled while kernels were tuned");
            DUNLIN_TRY(one.sample(tools));
            ++racing;
        }
        if (racing < 2) break;
        if (round + 1 >= kFirstLeaving) leave();
    }
    return {};
}

}  // namespace dunlin::tuning
