#include "runtime/plan/memory_plan.h"

#include <algorithm>
#include <utility>

namespace dunlin {
namespace {

struct Lifetime {
    int first = -1, last = -1;  // dispatches; -1: never used
    uint64_t sizeBytes = 0;     // aligned
};

std::vector<Lifetime> lifetimesOf(const Program& program, uint64_t alignment) {
    std::vector<Lifetime> lifetimes(program.tensors.size());
    for (size_t i = 0; i < program.dispatches.size(); ++i) {
        for (const Binding& binding : program.dispatches[i].bindings) {
            if (binding.tensor < 0) continue;
            const auto id = static_cast<size_t>(binding.tensor);
            if (program.tensors[id].storage != Storage::Arena) continue;
            Lifetime& lifetime = lifetimes[id];
            if (lifetime.first < 0) lifetime.first = static_cast<int>(i);
            lifetime.last = static_cast<int>(i);
            lifetime.sizeBytes = roundUp(program.tensors[id].sizeBytes, alignment);
        }
    }
    return lifetimes;
}

// By dispatch.
std::vector<uint64_t> liveBytes(const std::vector<Lifetime>& lifetimes, size_t dispatchCount) {
    std::vector<uint64_t> bytes(dispatchCount, 0);
    for (const Lifetime& lifetime : lifetimes) {
        if (lifetime.first < 0) continue;
        for (int i = lifetime.first; i <= lifetime.last; ++i) bytes[static_cast<size_t>(i)] += lifetime.sizeBytes;
    }
    return bytes;
}

struct Placed {
    uint64_t offset, size;
};

// The smallest gap that fits between the given neighbours (sorted by offset), else the first byte after them all.
uint64_t bestFit(const std::vector<Placed>& neighbours, uint64_t sizeBytes) {
    uint64_t best = UINT64_MAX, bestGap = UINT64_MAX, end = 0;
    for (const Placed& neighbour : neighbours) {
        if (neighbour.offset > end) {
            const uint64_t gap = neighbour.offset - end;
            if (gap >= sizeBytes && gap < bestGap) {
                bestGap = gap;
                best = end;
            }
        }
        end = std::max(end, neighbour.offset + neighbour.size);
    }
    return best == UINT64_MAX ? end : best;
}

// One way to place the tensors: each in turn, beside those that live at the same time and are placed already.
class Placement {
  public:
    Placement(const std::vector<Lifetime>& lifetimes, const std::vector<size_t>& order, size_t dispatchCount)
        : offsets_(lifetimes.size(), UINT64_MAX), liveAt_(dispatchCount), seenBy_(lifetimes.size(), SIZE_MAX) {
        for (size_t position = 0; position < order.size(); ++position) {
            const size_t id = order[position];
            std::vector<Placed> neighbours = neighboursOf(lifetimes, id);
            std::ranges::sort(neighbours, {}, &Placed::offset);
            offsets_[id] = bestFit(neighbours, lifetimes[id].sizeBytes);
            for (int i = lifetimes[id].first; i <= lifetimes[id].last; ++i)
                liveAt_[static_cast<size_t>(i)].push_back(id);
            const uint64_t endBytes = offsets_[id] + lifetimes[id].sizeBytes;
            if (endBytes > arenaBytes_) {
                arenaBytes_ = endBytes;
                highest_ = position;
            }
        }
    }

    uint64_t arenaBytes() const { return arenaBytes_; }
    // The first in the order that reaches the arena's end.
    size_t highest() const { return highest_; }
    std::vector<uint64_t> takeOffsets() { return std::move(offsets_); }

  private:
    // What is placed already and lives at the same time, each once.
    std::vector<Placed> neighboursOf(const std::vector<Lifetime>& lifetimes, size_t id) {
        std::vector<Placed> neighbours;
        for (int i = lifetimes[id].first; i <= lifetimes[id].last; ++i) {
            for (size_t other : liveAt_[static_cast<size_t>(i)]) {
                if (std::exchange(seenBy_[other], id) != id)
                    neighbours.push_back({offsets_[other], lifetimes[other].sizeBytes});
            }
        }
        return neighbours;
    }

    std::vector<uint64_t> offsets_;
    std::vector<std::vector<size_t>> liveAt_;  // by dispatch: those that are placed
    std::vector<size_t> seenBy_;               // for whom a tensor was counted last
    uint64_t arenaBytes_ = 0;
    size_t highest_ = 0;
};

// Tensors of the dispatches with the most live bytes first, the largest of each first.
std::vector<size_t> byBreadth(const std::vector<Lifetime>& lifetimes, std::vector<size_t> order, size_t dispatchCount) {
    const std::vector<uint64_t> live = liveBytes(lifetimes, dispatchCount);
    const auto breadth = [&](size_t id) {
        const auto begin = live.begin() + lifetimes[id].first, end = live.begin() + lifetimes[id].last + 1;
        return std::pair(*std::max_element(begin, end), lifetimes[id].sizeBytes);
    };
    // Most often several are equal: then by number. A stable sort would be three times the code.
    std::ranges::sort(order, [&](size_t a, size_t b) {
        const auto ofA = breadth(a), ofB = breadth(b);
        return ofA != ofB ? ofA > ofB : a < b;
    });
    return order;
}

}  // namespace

MemoryPlan planMemory(const Program& program, uint64_t alignment) {
    const std::vector<Lifetime> lifetimes = lifetimesOf(program, alignment);
    const size_t dispatchCount = program.dispatches.size();
    std::vector<size_t> used;
    for (size_t id = 0; id < lifetimes.size(); ++id) {
        if (lifetimes[id].first >= 0) used.push_back(id);
    }
    std::vector<size_t> bySize = used;
    std::ranges::sort(bySize, [&](size_t a, size_t b) {
        const uint64_t ofA = lifetimes[a].sizeBytes, ofB = lifetimes[b].sizeBytes;
        return ofA != ofB ? ofA > ofB : a < b;
    });

    MemoryPlan plan;
    plan.offsets.assign(lifetimes.size(), UINT64_MAX);
    const std::vector<uint64_t> live = liveBytes(lifetimes, dispatchCount);
    plan.lowerBoundBytes = live.empty() ? 0 : *std::ranges::max_element(live);
    plan.arenaBytes = used.empty() ? 0 : UINT64_MAX;
    // Whoever had to go on top is placed earlier the next time. What is left of a fiftieth is not worth the search.
    constexpr int kAttempts = 32;
    const uint64_t goodBytes = plan.lowerBoundBytes + plan.lowerBoundBytes / 50;
    for (std::vector<size_t> order : {bySize, byBreadth(lifetimes, bySize, dispatchCount), used}) {
        for (int attempt = 0; attempt < kAttempts && plan.arenaBytes > goodBytes; ++attempt) {
            Placement placement(lifetimes, order, dispatchCount);
            const auto highest = static_cast<std::ptrdiff_t>(placement.highest());
            if (placement.arenaBytes() < plan.arenaBytes) {
                plan.arenaBytes = placement.arenaBytes();
                plan.offsets = placement.takeOffsets();
            }
            std::rotate(order.begin(), order.begin() + highest,
                        order.begin() + std::min<std::ptrdiff_t>(highest + 1, std::ssize(order)));
        }
    }
    return plan;
}

}  // namespace dunlin
