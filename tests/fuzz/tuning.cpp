#include "runtime/tuning/verdicts.h"
#include "tests/fuzz/fuzz_target.h"

namespace dunlin::fuzz {
namespace {

using namespace tuning;

Identity identity() {
    Identity identity;
    identity.vendorId = 5;
    return identity;
}

bool parse(std::string_view text) {
    const std::optional<Verdicts> verdicts = parseVerdicts(text, identity());
    if (!verdicts) return false;
    const FormTable table = verdicts->table();
    for (const auto& [key, form] : table.forms) require(!key.empty() && !form.empty(), "names are not empty");
    for (const auto& [key, verdict] : verdicts->problems) {
        require(verdict.timeNs >= 0 && verdict.defaultNs >= 0, "times are not negative");
        for (const Rejection& rejection : verdict.rejected)
            require(rejection.form != verdict.form, "no form is rejected and chosen");
    }
    require(parseVerdicts(toText(*verdicts, identity()), identity()) == verdicts, "what is read can be written");
    return true;
}

}  // namespace

bool accepts(const std::string& input) {
    return parse(input);
}

std::vector<std::string> corpus() {
    Verdicts verdicts;
    verdicts.problems["head/1x1x10/top5/fp32"] = {
        "texel", "texel-local256", 1.5, 2, 3, true, {{"storage", "wrong"}}, {"texel-local128"}};
    verdicts.blocks["pooled_linear/7x7x5-10/fp32"] = {true, 1, 2};
    return {toText(verdicts, identity()), toText({}, identity())};
}

}  // namespace dunlin::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t sizeBytes) {
    dunlin::fuzz::parse({reinterpret_cast<const char*>(data), sizeBytes});
    return 0;
}
