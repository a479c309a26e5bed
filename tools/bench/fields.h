// Fields of documents that others wrote: what is absent, null or of another type is nothing.
#pragma once

#include <cmath>
#include <optional>
#include <string>
#include <vector>

#include "tools/bench/document.h"

namespace dunlin::bench {

inline std::optional<double> numberOf(const Json& row, const char* field) {
    const auto found = row.find(field);
    if (found == row.end() || !found->is_number() || !std::isfinite(found->get<double>())) return std::nullopt;
    return found->get<double>();
}

inline std::string textOf(const Json& row, const char* field) {
    const auto found = row.find(field);
    return found != row.end() && found->is_string() ? found->get<std::string>() : std::string();
}

// Whether the field is there and is this.
inline bool isBool(const Json& row, const char* field, bool value) {
    const auto found = row.find(field);
    return found != row.end() && found->is_boolean() && found->get<bool>() == value;
}

// Times in the order taken; empty where there are none or one is no positive number.
inline std::vector<double> samplesOf(const Json& row, const char* field) {
    const auto found = row.find(field);
    std::vector<double> samples;
    if (found == row.end() || !found->is_array()) return samples;
    for (const Json& sample : *found) {
        if (!sample.is_number() || !std::isfinite(sample.get<double>()) || sample.get<double>() <= 0) return {};
        samples.push_back(sample.get<double>());
    }
    return samples;
}

}  // namespace dunlin::bench
