// What tuning found out on a device, and the text that keeps it.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/plan/form_table.h"
#include "runtime/vulkan/pipelines.h"

namespace dunlin::tuning {

// A form that computed something wrong, varied when repeated, or could not be run.
struct Rejection {
    std::string form;  // formName()
    std::string why;   // one sentence
    bool operator==(const Rejection&) const = default;
};

// About one problem, which a formKey() stands for.
struct Verdict {
    std::string form;         // formName() of the fastest form that was right, every time; never empty
    std::string defaultForm;  // of what is taken without a verdict
    double timeNs = 0;        // of `form`, one dispatch and the barrier before it; 0: not timed
    double defaultNs = 0;     // of the default; 0: it is wrong, or not timed
    uint32_t tried = 0;       // forms that were run and decided about
    bool complete = false;    // every candidate was; else the time was up
    std::vector<Rejection> rejected;
    std::vector<std::string> lost;  // formName() of those that are right and slower, beside the default; sorted
    bool operator==(const Verdict&) const = default;
};

// Of several dispatches that may be one (plan/block_fusion.h).
struct BlockVerdict {
    bool isFused = false;
    double fusedNs = 0, separateNs = 0;
    bool operator==(const BlockVerdict&) const = default;
};

struct Verdicts {
    std::map<std::string, Verdict> problems;     // by formKey()
    std::map<std::string, BlockVerdict> blocks;  // by formKey() of the one dispatch

    // Those of `other` take the place of those with the same key.
    void add(const Verdicts& other);
    FormTable table() const;
    bool operator==(const Verdicts&) const = default;
};

// The device, driver and shaders that verdicts hold for.
using Identity = vulkan::PipelineCacheKey;

constexpr size_t kMaxVerdictBytes = size_t{4} << 20;  // of a text: hundreds of networks

// JSON, with the identity in it.
std::string toText(const Verdicts& verdicts, const Identity& identity);
// Nothing where the text is of another version, for another identity, damaged in any way, larger than kMaxVerdictBytes,
// nested deeper than any of these texts, or says what no verdict can; or where memory is wanting. Names in it are short
// and printable, numbers finite and not negative. Whether what it says is true, nobody knows.
std::optional<Verdicts> parseVerdicts(std::string_view text, const Identity& identity);

}  // namespace dunlin::tuning
