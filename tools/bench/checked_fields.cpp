#include "tools/bench/checked_fields.h"

#include <fmt/format.h>

#include <cmath>

namespace dunlin::bench {
namespace {

using cli::Check;
using cli::ExitStatus;
using cli::Failure;

// A row, or an object within it, of which fields are asked.
struct Owner {
    const std::string& file;
    std::string path;  // "a.json: the result net/fp32: samples."
    const Json& fields;
};

Check wrongField(const Owner& owner, const std::string& field, const char* wanted, const Json& value) {
    constexpr size_t kMostShown = 40;
    std::string text = value.dump(-1, ' ', true, Json::error_handler_t::replace);
    if (text.size() > kMostShown) text = text.substr(0, kMostShown) + "...";
    return Failure{ExitStatus::BadInput,
                   fmt::format("{}: {}{} is {}, not {}", owner.file, owner.path, field, text, wanted)};
}

bool isTime(const Json& value) {
    return value.is_number() && std::isfinite(value.get<double>()) && value.get<double>() >= 0;
}

// The field, or nothing where it is absent or null.
const Json* present(const Owner& owner, const char* field) {
    const auto found = owner.fields.find(field);
    return found == owner.fields.end() || found->is_null() ? nullptr : &*found;
}

Check checkNumber(const Owner& owner, const char* field) {
    const Json* const value = present(owner, field);
    return value && !isTime(*value) ? wrongField(owner, field, "a number from 0 on", *value) : Check();
}

Check checkText(const Owner& owner, const char* field) {
    const Json* const value = present(owner, field);
    return value && !value->is_string() ? wrongField(owner, field, "a text", *value) : Check();
}

Check checkTruth(const Owner& owner, const char* field) {
    const Json* const value = present(owner, field);
    return value && !value->is_boolean() ? wrongField(owner, field, "true or false", *value) : Check();
}

Check checkSamples(const Owner& owner, const char* field) {
    const Json* const value = present(owner, field);
    if (!value) return {};
    if (!value->is_array()) return wrongField(owner, field, "a list of numbers", *value);
    for (size_t i = 0; i < value->size(); ++i) {
        if (!isTime((*value)[i]))
            return wrongField(owner, fmt::format("{}[{}]", field, i), "a number from 0 on", (*value)[i]);
    }
    return {};
}

Check checkNetworkSamples(const Owner& row) {
    const Json* const samples = present(row, "samples");
    if (!samples) return {};
    if (!samples->is_object()) return wrongField(row, "samples", "an object", *samples);
    const Owner owner{row.file, row.path + "samples.", *samples};
    for (const char* field : {"gpuMs", "wallMs"}) DUNLIN_CLI_TRY(checkSamples(owner, field));
    return {};
}

Check checkRow(const Owner& row, bool networks) {
    for (const char* field : {"error", "clock", "fusion", "weights"}) DUNLIN_CLI_TRY(checkText(row, field));
    for (const char* field : {"correct", "deterministic"}) DUNLIN_CLI_TRY(checkTruth(row, field));
    for (const char* field : {"maxRelativeError", "dispatches"}) DUNLIN_CLI_TRY(checkNumber(row, field));
    if (!networks) {
        DUNLIN_CLI_TRY(checkNumber(row, "medianUs"));
        return checkSamples(row, "samplesUs");
    }
    for (const char* field :
         {"gpuMedianMs", "wallMedianMs", "coldStartMs", "warmStartMs", "cpuSubmitUs", "frameMs2", "frameMs3"}) {
        DUNLIN_CLI_TRY(checkNumber(row, field));
    }
    return checkNetworkSamples(row);
}

}  // namespace

Check checkComparedFields(const std::string& file, const Json& document) {
    DUNLIN_CLI_TRY(checkTruth({file, "", document}, "complete"));
    for (const Json& device : document.at("devices")) {
        const Owner owner{file, fmt::format("the device {}: ", device.at("id").get<std::string>()), device};
        for (const char* field : {"name", "driver", "driverVersion", "type"}) DUNLIN_CLI_TRY(checkText(owner, field));
        DUNLIN_CLI_TRY(checkNumber(owner, "threads"));
    }
    const bool networks = document.at("kind") == "model";
    for (const Json& row : document.at("results")) {
        const Owner owner{file, fmt::format("the result {}: ", row.at("id").get<std::string>()), row};
        DUNLIN_CLI_TRY(checkRow(owner, networks));
    }
    return {};
}

}  // namespace dunlin::bench
