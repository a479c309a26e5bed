#include "tools/bench/shader_choice.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "runtime/plan/dispatch_builders.h"
#include "runtime/plan/kernels.h"
#include "tools/bench/kernel_bench.h"
#include "tools/bench/layer_table.h"
#include "tools/dunlin/files.h"

namespace dunlin::bench {
namespace {

using cli::Failure;

bool isPattern(const std::string& like) {
    return like.find_first_of("*?") != std::string::npos;
}

// A whole id, the beginning of one up to a slash, or a pattern.
bool fits(const std::string& like, const std::string& id) {
    if (isPattern(like)) return cli::matchesWildcard(like, id);
    return id == like || id.starts_with(like + "/");
}

// Whether some id of the problem could fit, before all its forms are made.
bool mayFit(const std::string& like, const tuning::KernelCase& problem) {
    const std::string fixed = like.substr(0, like.find_first_of("*?"));
    const size_t shared = std::min(fixed.size(), problem.id.size());
    return fixed.compare(0, shared, problem.id, 0, shared) == 0;
}

// The number that a macro is defined as; nothing where it is not defined.
Outcome<std::optional<uint8_t>> tileOf(const std::vector<std::string>& defines, const std::string& macro) {
    std::optional<uint8_t> tile;
    for (const std::string& define : defines) {
        if (!define.starts_with(macro + "=")) continue;
        const char* begin = define.data() + macro.size() + 1;
        const char* end = define.data() + define.size();
        uint8_t value = 0;
        const auto [parsedEnd, error] = std::from_chars(begin, end, value);
        if (error != std::errc() || parsedEnd != end || value == 0) {
            return Failure{ExitStatus::WrongUse, fmt::format("-D {}: a tile is 1 to 255 wide and high", define)};
        }
        tile = value;
    }
    return tile;
}

Outcome<tuning::FormedCase> userForm(const ShaderBenchOptions& options, const Target& target,
                                     const tuning::KernelCase& problem, const tuning::FormedCase& like) {
    DUNLIN_CLI_ASSIGN(const std::optional<uint8_t> tileX, tileOf(options.defines, "TILE_X"));
    DUNLIN_CLI_ASSIGN(const std::optional<uint8_t> tileY, tileOf(options.defines, "TILE_Y"));
    KernelForm form = like.form;
    form.tileX = tileX.value_or(form.tileX);
    form.tileY = tileY.value_or(form.tileY);
    if (form.tileX == like.form.tileX && form.tileY == like.form.tileY) return like;
    tuning::FormedCase formed = tuning::inForm(problem, form, target.device->limits());
    if (dispatchFits(formed.dispatch, target.device->limits())) return formed;
    return Failure{ExitStatus::WrongUse, fmt::format("{} does not fit the limits of {}", formed.id, target.id)};
}

Failure notOne(const std::string& like, const std::vector<std::string>& ids) {
    if (ids.empty()) {
        return {ExitStatus::WrongUse,
                fmt::format("--like: no case fits {}; `dunlin bench kernels --list` lists the ids", like)};
    }
    return {ExitStatus::WrongUse, fmt::format("--like: {} fits {} cases, {} and {} among them; one is needed", like,
                                              ids.size(), ids[0], ids[1])};
}

}  // namespace

Outcome<std::vector<ShaderChoice>> chooseShaderPlaces(const ShaderBenchOptions& options, const Target& target) {
    DUNLIN_CLI_ASSIGN(const std::vector<Precision> precisions, precisionsOf(options.measure, target));
    const DeviceLimits& limits = target.device->limits();
    std::vector<ShaderChoice> choices;
    std::vector<std::string> ids;  // of different cases
    for (const Precision precision : precisions) {
        DUNLIN_CLI_ASSIGN(const std::vector<tuning::KernelCase> table, layerTable(options.layers, precision, limits));
        for (const tuning::KernelCase& problem : table) {
            if (!mayFit(options.like, problem)) continue;
            const std::vector<tuning::FormedCase> forms = tuning::formsOf(problem, limits);
            // The default is the first, so it is taken where it fits.
            const auto like = std::ranges::find_if(
                forms, [&](const tuning::FormedCase& form) { return fits(options.like, form.id); });
            if (like == forms.end()) continue;
            if (std::ranges::count(ids, problem.id) == 0) ids.push_back(problem.id);
            DUNLIN_CLI_ASSIGN(tuning::FormedCase user, userForm(options, target, problem, *like));
            choices.push_back({problem, std::move(user), forms});
        }
    }
    if (ids.size() != 1) return notOne(options.like, ids);
    return choices;
}

ShaderSource sourceOf(const ShaderBenchOptions& options, const ShaderChoice& choice) {
    const KernelForm& form = choice.user.form;
    ShaderSource source;
    source.file = options.file;
    source.defines = {fmt::format("TILE_X={}", form.tileX), fmt::format("TILE_Y={}", form.tileY)};
    if (choice.problem.kernel() == Kernel::Preprocess) source.defines = {fmt::format("SOURCE={}", form.tileX)};
    if (choice.problem.precision() == Precision::Fp16) source.defines.push_back("FP16=1");
    if (form.load == LoadPath::Texel) source.defines.push_back("TEXEL=1");
    source.defines.insert(source.defines.end(), options.defines.begin(), options.defines.end());
    for (const std::string& folder : options.includes) source.includeFolders.emplace_back(folder);
    return source;
}

}  // namespace dunlin::bench
