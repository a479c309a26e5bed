#include "models/json_fields.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <utility>
#include <vector>

#include "runtime/weights/tensor_data.h"

namespace dunlin {
namespace {

constexpr size_t kMaxBytes = 16 << 20;
constexpr size_t kMaxTextBytes = 1000;

// Builds the value while it is read, within limits: how deep it nests, and that no key comes twice. The parser's own
// builder would be another copy of the parser, as what it calls is a template parameter.
class Builder final : public nlohmann::json_sax<Json> {
  public:
    explicit Builder(size_t maxDepth) : maxDepth_(maxDepth) {}
    const std::string& reason() const { return reason_; }
    Json takeValue() { return std::move(root_); }

    bool key(string_t& key) override {
        const auto [member, isNew] = open_.back()->get_ref<Json::object_t&>().emplace(key, nullptr);
        member_ = &member->second;
        return isNew || fail("has " + printable(key) + " twice");
    }
    bool start_object(std::size_t) override { return open(Json::value_t::object); }
    bool end_object() override { return close(); }
    bool start_array(std::size_t) override { return open(Json::value_t::array); }
    bool end_array() override { return close(); }
    bool null() override { return add(nullptr); }
    bool boolean(bool value) override { return add(value); }
    bool number_integer(number_integer_t value) override { return add(value); }
    bool number_unsigned(number_unsigned_t value) override { return add(value); }
    bool number_float(number_float_t value, const string_t&) override { return add(value); }
    bool string(string_t& value) override { return add(std::move(value)); }
    bool binary(binary_t&) override { return fail("has binary data"); }
    bool parse_error(std::size_t position, const std::string&, const nlohmann::detail::exception&) override {
        return fail("is not JSON at byte " + std::to_string(position));
    }

  private:
    bool fail(const std::string& reason) {
        reason_ = reason;
        return false;
    }
    // Where the next value belongs.
    Json& place() {
        if (open_.empty()) return root_;
        if (open_.back()->is_object()) return *member_;
        auto& items = open_.back()->get_ref<Json::array_t&>();
        return items.emplace_back();
    }
    bool add(Json value) {
        place() = std::move(value);
        return true;
    }
    bool open(Json::value_t type) {
        Json& value = place();
        value = Json(type);
        open_.push_back(&value);
        return open_.size() <= maxDepth_ || fail("nests more than " + std::to_string(maxDepth_) + " deep");
    }
    bool close() {
        open_.pop_back();
        return true;
    }

    size_t maxDepth_;
    Json root_;
    std::vector<Json*> open_;  // a list has no new item while its last one is open, so they stay where they are
    Json* member_ = nullptr;   // of the innermost object
    std::string reason_;
};

// A value for messages.
std::string shown(const Json& value) {
    constexpr size_t kShown = 60, kShownItems = 8;
    if (value.is_structured() && value.size() > kShownItems) return value.is_array() ? "a long list" : "an object";
    const std::string text = value.dump(-1, ' ', false, Json::error_handler_t::replace);
    return text.size() <= kShown ? text : text.substr(0, kShown) + "...";
}

std::string shown(double number) {
    char text[32];
    std::snprintf(text, sizeof text, "%.10g", number);
    return text;
}

}  // namespace

const Json* Fields::find(const char* key) const {
    const auto found = object_.find(key);
    return found == object_.end() || found->is_null() ? nullptr : &*found;
}

std::optional<double> Fields::number(const char* key, Range range) {
    const Json* value = find(key);
    return value == nullptr ? std::nullopt : checkedNumber(*value, path_ + key, range);
}

std::optional<int> Fields::integer(const char* key, Range range) {
    const Json* value = find(key);
    return value == nullptr ? std::nullopt : checkedInteger(*value, path_ + key, range);
}

std::optional<bool> Fields::boolean(const char* key) {
    const Json* value = find(key);
    if (value == nullptr) return std::nullopt;
    if (value->is_boolean()) return value->get<bool>();
    fail(key, *value, "must be true or false");
    return std::nullopt;
}

std::optional<std::string> Fields::text(const char* key) {
    const Json* value = find(key);
    if (value == nullptr) return std::nullopt;
    if (value->is_string() && value->get_ref<const std::string&>().size() <= kMaxTextBytes)
        return value->get<std::string>();
    fail(key, *value, "must be a text of up to " + std::to_string(kMaxTextBytes) + " bytes");
    return std::nullopt;
}

std::optional<size_t> Fields::oneOf(const char* key, std::initializer_list<std::string_view> allowed) {
    const Json* value = find(key);
    if (value == nullptr) return std::nullopt;
    std::string list;
    for (const std::string_view& word : allowed) {
        if (value->is_string() && value->get_ref<const std::string&>() == word)
            return static_cast<size_t>(&word - allowed.begin());
        list.append(list.empty() ? "\"" : " or \"").append(word).append("\"");
    }
    fail(key, *value, "must be " + list);
    return std::nullopt;
}

std::optional<std::array<float, 3>> Fields::numbers(const char* key, Range range) {
    const Json* value = find(key);
    if (value == nullptr || !isTriple(key, *value)) return std::nullopt;
    std::array<float, 3> numbers = {};
    for (size_t i = 0; i < numbers.size(); ++i) {
        const auto number = checkedNumber((*value)[i], placeOf(key, i), range);
        if (!number) return std::nullopt;
        numbers[i] = static_cast<float>(*number);
    }
    return numbers;
}

std::optional<std::array<int, 3>> Fields::integers(const char* key, const std::array<Range, 3>& ranges) {
    const Json* value = find(key);
    if (value == nullptr || !isTriple(key, *value)) return std::nullopt;
    std::array<int, 3> integers = {};
    for (size_t i = 0; i < integers.size(); ++i) {
        const auto integer = checkedInteger((*value)[i], placeOf(key, i), ranges[i]);
        if (!integer) return std::nullopt;
        integers[i] = *integer;
    }
    return integers;
}

std::optional<std::array<int, 3>> Fields::oneOrThreeIntegers(const char* key, Range range) {
    const Json* value = find(key);
    if (value != nullptr && value->is_array()) return integers(key, {range, range, range});
    const auto same = integer(key, range);
    if (!same) return std::nullopt;
    return std::array<int, 3>{*same, *same, *same};
}

void Fields::fail(const std::string& key, const Json& value, const std::string& rule) {
    failAt(path_ + key, value, rule);
}

std::optional<double> Fields::checkedNumber(const Json& value, const std::string& place, Range range) {
    if (value.is_number()) {
        const auto number = value.get<double>();
        if (number >= range.low && number <= range.high) return number;  // false for what is not a number
    }
    failAt(place, value,
           range.low == range.high ? "must be " + shown(range.low)
                                   : "must be a number from " + shown(range.low) + " to " + shown(range.high));
    return std::nullopt;
}

std::optional<int> Fields::checkedInteger(const Json& value, const std::string& place, Range range) {
    const std::optional<double> number = checkedNumber(value, place, range);
    if (!number) return std::nullopt;
    if (*number == std::floor(*number)) return static_cast<int>(*number);
    failAt(place, value, "must be a whole number");
    return std::nullopt;
}

bool Fields::isTriple(const char* key, const Json& value) {
    if (value.is_array() && value.size() == 3) return true;
    fail(key, value, "must be a list of three numbers");
    return false;
}

std::string Fields::placeOf(const char* key, size_t index) const {
    return path_ + key + "[" + std::to_string(index) + "]";
}

void Fields::failAt(const std::string& place, const Json& value, const std::string& rule) {
    if (status_.ok()) status_ = Status(StatusCode::BadFile, place + " is " + shown(value) + ", but " + rule);
}

Result<Json> parseJsonObject(std::string_view text, size_t maxDepth) {
    if (text.size() > kMaxBytes)
        return error(StatusCode::BadFile, "it has %zu bytes, the limit is %zu", text.size(), kMaxBytes);
    Builder builder(maxDepth);
    nlohmann::json_sax<Json>* const events = &builder;  // as safetensors.cpp does: the same parser
    if (!Json::sax_parse(text.data(), text.data() + text.size(), events))
        return Status(StatusCode::BadFile, "it " + builder.reason());
    Json json = builder.takeValue();
    if (!json.is_object()) return error(StatusCode::BadFile, "it is no JSON object");
    return json;
}

}  // namespace dunlin
