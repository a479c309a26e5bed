#include "runtime/plan/memory_plan.h"

#include <algorithm>
#include <numeric>

namespace dunlin {
namespace {

struct Lifetime {
    int first = -1, last = -1;  // dispatches; -1: never used
    uint64_t sizeBytes = 0;     // aligned
    bool overlaps(const Lifetime& other) const { return first <= other.last && other.first <= last; }
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

uint64_t lowerBound(const std::vector<Lifetime>& lifetimes, size_t dispatchCount) {
    std::vector<uint64_t> liveBytes(dispatchCount, 0);
    for (const Lifetime& lifetime : lifetimes) {
        if (lifetime.first < 0) continue;
        for (int i = lifetime.first; i <= lifetime.last; ++i) liveBytes[static_cast<size_t>(i)] += lifetime.sizeBytes;
    }
    return liveBytes.empty() ? 0 : *std::ranges::max_element(liveBytes);
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

}  // namespace

MemoryPlan planMemory(const Program& program, uint64_t alignment) {
    const std::vector<Lifetime> lifetimes = lifetimesOf(program, alignment);
    MemoryPlan plan;
    plan.offsets.assign(program.tensors.size(), UINT64_MAX);
    plan.lowerBoundBytes = lowerBound(lifetimes, program.dispatches.size());

    std::vector<size_t> order;
    for (size_t id = 0; id < lifetimes.size(); ++id) {
        if (lifetimes[id].first >= 0) order.push_back(id);
    }
    std::ranges::stable_sort(order, std::greater{}, [&](size_t id) { return lifetimes[id].sizeBytes; });

    std::vector<size_t> placed;
    for (size_t id : order) {
        std::vector<Placed> neighbours;
        for (size_t other : placed) {
            if (lifetimes[other].overlaps(lifetimes[id])) {
                neighbours.push_back({plan.offsets[other], lifetimes[other].sizeBytes});
            }
        }
        std::ranges::sort(neighbours, {}, &Placed::offset);
        plan.offsets[id] = bestFit(neighbours, lifetimes[id].sizeBytes);
        plan.arenaBytes = std::max(plan.arenaBytes, plan.offsets[id] + lifetimes[id].sizeBytes);
        placed.push_back(id);
    }
    return plan;
}

}  // namespace dunlin
