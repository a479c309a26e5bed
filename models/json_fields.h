// What config.json and preprocessor_config.json have in common: untrusted JSON with limits, and fields that are checked
// one after the other.
#pragma once

#include <array>
#include <exception>
#include <initializer_list>
#include <new>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "runtime/status.h"

namespace dunlin {

using Json = nlohmann::json;

// Reads the fields of one object. Absent and null fields are the same: nothing. A value that is of another type or out
// of its range makes nothing too, and a BadFile with its place, the value and the rule, of which the first stays.
class Fields {
  public:
    // Both ends included.
    struct Range {
        double low, high;
    };

    // `path` stands before the keys in messages ("pretrained_cfg."). Object and status must outlive this.
    Fields(const Json& object, std::string path, Status& status)
        : object_(object), path_(std::move(path)), status_(status) {}

    const Json* find(const char* key) const;

    std::optional<double> number(const char* key, Range range);
    std::optional<int> integer(const char* key, Range range);
    std::optional<bool> boolean(const char* key);
    // Of up to 1000 bytes.
    std::optional<std::string> text(const char* key);
    // The index of the text among those that are allowed.
    std::optional<size_t> oneOf(const char* key, std::initializer_list<std::string_view> allowed);
    // Lists of three.
    std::optional<std::array<float, 3>> numbers(const char* key, Range range);
    std::optional<std::array<int, 3>> integers(const char* key, const std::array<Range, 3>& ranges);
    // A number for all three, or a list of them.
    std::optional<std::array<int, 3>> oneOrThreeIntegers(const char* key, Range range);

    void fail(const std::string& key, const Json& value, const std::string& rule);

  private:
    std::optional<double> checkedNumber(const Json& value, const std::string& place, Range range);
    std::optional<int> checkedInteger(const Json& value, const std::string& place, Range range);
    bool isTriple(const char* key, const Json& value);
    std::string placeOf(const char* key, size_t index) const;
    void failAt(const std::string& place, const Json& value, const std::string& rule);

    const Json& object_;
    std::string path_;
    Status& status_;
};

// An object of up to 16 MiB that nests up to `maxDepth` deep and has no key twice; BadFile says what it is instead ("it
// is not JSON at byte 7").
Result<Json> parseJsonObject(std::string_view text, size_t maxDepth = 16);

// read(Json) of such an object; returns its Result. What the JSON library may throw ends here.
template <typename Read>
auto readJsonObject(std::string_view text, Read&& read) -> decltype(read(Json())) {
    try {
        DUNLIN_ASSIGN(const Json json, parseJsonObject(text));
        return read(json);
    } catch (const std::bad_alloc&) {
        return error(StatusCode::OutOfHostMemory, "no memory for %zu bytes of JSON", text.size());
    } catch (const std::exception& problem) {
        return error(StatusCode::BadFile, "it cannot be read: %s", problem.what());
    }
}

}  // namespace dunlin
