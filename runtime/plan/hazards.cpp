#include "runtime/plan/hazards.h"

#include <algorithm>

namespace dunlin {
namespace {

// Bytes of one memory that accesses can meet in.
struct Range {
    int space;  // arena, or a caller's buffer
    uint64_t begin, end;
    bool overlaps(const Range& other) const { return space == other.space && begin < other.end && other.begin < end; }
};

class Accesses {
  public:
    explicit Accesses(const Program& program, const MemoryPlan& plan) : program_(program), plan_(plan) {}

    void add(const Dispatch& dispatch) {
        for (const Binding& binding : dispatch.bindings) {
            if (tracked(binding)) (binding.write ? writes_ : reads_).push_back(rangeOf(binding));
        }
    }
    void clear() {
        writes_.clear();
        reads_.clear();
    }
    bool conflictsWith(const Dispatch& dispatch) const {
        return std::ranges::any_of(dispatch.bindings, [&](const Binding& binding) {
            if (!tracked(binding)) return false;
            const Range range = rangeOf(binding);
            const auto meets = [&](const Range& other) { return other.overlaps(range); };
            return std::ranges::any_of(writes_, meets) || (binding.write && std::ranges::any_of(reads_, meets));
        });
    }

  private:
    // Constants and inputs are only ever read.
    bool tracked(const Binding& binding) const {
        if (binding.tensor < 0) return false;
        const Storage storage = program_.tensors[static_cast<size_t>(binding.tensor)].storage;
        return storage == Storage::Arena || storage == Storage::Output;
    }
    Range rangeOf(const Binding& binding) const {
        const auto id = static_cast<size_t>(binding.tensor);
        const bool arena = program_.tensors[id].storage == Storage::Arena;
        const uint64_t begin = (arena ? plan_.offsets[id] : 0) + binding.offsetBytes;
        return {arena ? 0 : 1 + binding.tensor, begin, begin + binding.sizeBytes};
    }

    const Program& program_;
    const MemoryPlan& plan_;
    std::vector<Range> writes_, reads_;
};

}  // namespace

std::vector<bool> planBarriers(const Program& program, const MemoryPlan& plan) {
    std::vector<bool> barrierBefore(program.dispatches.size(), false);
    Accesses sinceBarrier(program, plan);
    for (size_t i = 0; i < program.dispatches.size(); ++i) {
        const Dispatch& dispatch = program.dispatches[i];
        if (sinceBarrier.conflictsWith(dispatch)) {
            barrierBefore[i] = true;
            sinceBarrier.clear();
        }
        sinceBarrier.add(dispatch);
    }
    return barrierBefore;
}

}  // namespace dunlin
