#include "runtime/tuning/verdicts.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <new>

#include "models/json_fields.h"

namespace dunlin::tuning {
namespace {

constexpr const char* kFormat = "dunlin tuning";
constexpr int kVersion = 2;  // 1 had verdicts on preprocess that held for one kind of source
constexpr size_t kMaxEntries = 1 << 16;
constexpr size_t kMaxForms = 256;       // that are wrong, or have lost, of a problem
constexpr size_t kMaxNameBytes = 256;   // of keys and forms
constexpr size_t kMaxWhyBytes = 1024;   // of sentences
constexpr double kMaxNs = 3.6e12;       // an hour
constexpr uint32_t kMaxTried = 100000;  // forms

std::string hexOf(const Identity& identity) {
    std::string text;
    char byte[3];
    for (const uint8_t value : identity.pipelineCacheUuid) {
        std::snprintf(byte, sizeof byte, "%02x", value);
        text += byte;
    }
    return text;
}

// 64 bits as text: not every reader of JSON has integers of so many.
std::string hexOf(uint64_t value) {
    char text[17];
    std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(value));
    return text;
}

Json deviceJson(const Identity& identity) {
    return {{"vendorId", identity.vendorId},
            {"deviceId", identity.deviceId},
            {"driverVersion", identity.driverVersion},
            {"pipelineCacheUuid", hexOf(identity)},
            {"shaders", hexOf(identity.shaderHash)}};
}

bool isPrintable(const std::string& text, size_t maxBytes) {
    return text.size() <= maxBytes && std::ranges::all_of(text, [](char c) { return c >= ' ' && c <= '~'; });
}

// A sentence of a driver may be in any language.
std::string printable(std::string text) {
    for (char& c : text) {
        if (c < ' ' || c > '~') c = '?';
    }
    if (text.size() > kMaxWhyBytes) text.resize(kMaxWhyBytes);
    return text;
}

// Reads one object's members. What is missing or is not what it should be makes it fail, and stays so.
class Reader {
  public:
    Reader(const Json& object, bool& isGood) : object_(object), isGood_(isGood) {
        if (!object.is_object()) isGood_ = false;
    }

    std::string name(const char* key, size_t maxBytes = kMaxNameBytes) {
        const Json* value = find(key, Json::value_t::string);
        if (!value) return {};
        const auto& text = value->get_ref<const std::string&>();
        if (text.empty() || !isPrintable(text, maxBytes)) isGood_ = false;
        return text;
    }
    double nanoseconds(const char* key) {
        const auto found = isGood_ ? object_.find(key) : object_.end();
        if (found == object_.end() || !found->is_number()) return fail(0.0);
        const double value = found->get<double>();
        return std::isfinite(value) && value >= 0 && value <= kMaxNs ? value : fail(0.0);
    }
    uint32_t count(const char* key) {
        const Json* value = find(key, Json::value_t::number_unsigned);
        if (!value || value->get<uint64_t>() > kMaxTried) return fail(0u);
        return value->get<uint32_t>();
    }
    bool flag(const char* key) {
        const Json* value = find(key, Json::value_t::boolean);
        return value && value->get<bool>();
    }
    // Strings in ascending order.
    std::vector<std::string> names(const char* key, size_t most) {
        const Json* value = find(key, Json::value_t::array);
        if (!value || value->size() > most) isGood_ = false;
        std::vector<std::string> texts;
        for (size_t i = 0; isGood_ && i < value->size(); ++i) {
            const auto* text = (*value)[i].get_ptr<const std::string*>();
            const bool isName = text && !text->empty() && isPrintable(*text, kMaxNameBytes);
            if (!isName || (i > 0 && *text <= texts.back())) isGood_ = false;
            if (isGood_) texts.push_back(*text);
        }
        return texts;
    }
    // Calls `read(key, value)` for each member of an object.
    template <typename Read>
    void members(const char* key, size_t most, Read&& read) {
        const Json* value = find(key, Json::value_t::object);
        if (!value || value->size() > most) {
            isGood_ = false;
            return;
        }
        for (const auto& [name, member] : value->items()) {
            if (name.empty() || !isPrintable(name, kMaxNameBytes)) isGood_ = false;
            if (!isGood_) return;
            read(name, member);
        }
    }

  private:
    template <typename Value>
    Value fail(Value value) {
        isGood_ = false;
        return value;
    }
    const Json* find(const char* key, Json::value_t type) {
        const auto found = isGood_ ? object_.find(key) : object_.end();
        if (found != object_.end() && found->type() == type) return &*found;
        isGood_ = false;
        return nullptr;
    }

    const Json& object_;
    bool& isGood_;
};

Verdict readVerdict(const Json& json, bool& isGood) {
    Reader reader(json, isGood);
    Verdict verdict;
    verdict.form = reader.name("form");
    verdict.defaultForm = reader.name("default");
    verdict.timeNs = reader.nanoseconds("timeNs");
    verdict.defaultNs = reader.nanoseconds("defaultNs");
    verdict.tried = reader.count("tried");
    verdict.complete = reader.flag("complete");
    reader.members("rejected", kMaxForms, [&](const std::string& form, const Json& why) {
        const bool isSentence = why.is_string() && isPrintable(why.get_ref<const std::string&>(), kMaxWhyBytes);
        if (!isSentence || form == verdict.form) isGood = false;
        if (isGood) verdict.rejected.push_back({form, why.get<std::string>()});
    });
    verdict.lost = reader.names("lost", kMaxForms);
    if (std::ranges::count(verdict.lost, verdict.form) > 0) isGood = false;
    return verdict;
}

BlockVerdict readBlock(const Json& json, bool& isGood) {
    Reader reader(json, isGood);
    return {reader.flag("fused"), reader.nanoseconds("fusedNs"), reader.nanoseconds("separateNs")};
}

Json verdictJson(const Verdict& verdict) {
    Json rejected = Json::object();
    for (const Rejection& rejection : verdict.rejected) rejected[rejection.form] = printable(rejection.why);
    return {{"form", verdict.form},     {"default", verdict.defaultForm},
            {"timeNs", verdict.timeNs}, {"defaultNs", verdict.defaultNs},
            {"tried", verdict.tried},   {"complete", verdict.complete},
            {"rejected", rejected},     {"lost", verdict.lost}};
}

}  // namespace

void Verdicts::add(const Verdicts& other) {
    for (const auto& [key, verdict] : other.problems) problems.insert_or_assign(key, verdict);
    for (const auto& [key, verdict] : other.blocks) blocks.insert_or_assign(key, verdict);
}

FormTable Verdicts::table() const {
    FormTable table;
    for (const auto& [key, verdict] : problems) table.forms.emplace(key, verdict.form);
    for (const auto& [key, verdict] : blocks) {
        if (verdict.isFused) table.fusedBlocks.insert(key);
    }
    return table;
}

std::string toText(const Verdicts& verdicts, const Identity& identity) {
    Json problems = Json::object(), blocks = Json::object();
    for (const auto& [key, verdict] : verdicts.problems) problems[key] = verdictJson(verdict);
    for (const auto& [key, verdict] : verdicts.blocks) {
        blocks[key] = {{"fused", verdict.isFused}, {"fusedNs", verdict.fusedNs}, {"separateNs", verdict.separateNs}};
    }
    const Json document = {{"format", kFormat},
                           {"version", kVersion},
                           {"device", deviceJson(identity)},
                           {"problems", problems},
                           {"blocks", blocks}};
    return document.dump(1, '\t', true, Json::error_handler_t::replace) + "\n";
}

namespace {

std::optional<Verdicts> parse(std::string_view text, const Identity& identity) {
    constexpr size_t kMostNested = 5;
    const Result<Json> read = parseJsonObject(text, kMostNested);
    if (!read.ok()) return std::nullopt;
    const Json& document = *read;
    const auto is = [&](const char* key, const Json& expected) {
        const auto found = document.find(key);
        return found != document.end() && found->dump() == expected.dump();  // text: less code than Json's comparison
    };
    if (!is("format", kFormat) || !is("version", kVersion) || !is("device", deviceJson(identity))) return std::nullopt;
    bool isGood = true;
    Verdicts verdicts;
    Reader reader(document, isGood);
    reader.members("problems", kMaxEntries, [&](const std::string& key, const Json& value) {
        verdicts.problems.emplace(key, readVerdict(value, isGood));
    });
    reader.members("blocks", kMaxEntries, [&](const std::string& key, const Json& value) {
        verdicts.blocks.emplace(key, readBlock(value, isGood));
    });
    if (!isGood) return std::nullopt;
    return verdicts;
}

}  // namespace

std::optional<Verdicts> parseVerdicts(std::string_view text, const Identity& identity) {
    if (text.size() > kMaxVerdictBytes) return std::nullopt;
    try {
        return parse(text, identity);
    } catch (const std::bad_alloc&) {
        return std::nullopt;
    }
}

}  // namespace dunlin::tuning
