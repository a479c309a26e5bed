// Errors as values. Nothing in the runtime throws across a module, prints or aborts.
#pragma once

#include <cassert>
#include <optional>
#include <string>
#include <utility>

namespace dunlin {

// What kind of thing went wrong; the same list, in the same order, as DunlinStatus in dunlin.h.
enum class StatusCode {
    Ok,
    InvalidArgument,    // the caller's request makes no sense: sizes, names of options, ranges
    UnknownName,        // no such architecture, device, output or shipped model
    Unsupported,        // makes sense, but not on this device or in this build
    DoesNotFit,         // would exceed the device's or the caller's memory limit; nothing was allocated
    BadFile,            // absent, cut, hostile or not of the promised format
    OutOfHostMemory,
    OutOfDeviceMemory,
    DeviceLost,
    DeviceError,        // any other failure that the driver reported
    Cancelled,
};

// A code and one sentence with the actual value and the limit.
class [[nodiscard]] Status {
  public:
    Status() = default;
    Status(StatusCode code, std::string message) : code_(code), message_(std::move(message)) {}

    bool ok() const { return code_ == StatusCode::Ok; }
    StatusCode code() const { return code_; }
    const std::string& message() const { return message_; }

    // The same error with words before it: "blocks.0.0: <message>".
    Status withContext(const std::string& context) const {
        return ok() ? *this : Status(code_, context + ": " + message_);
    }

  private:
    StatusCode code_ = StatusCode::Ok;
    std::string message_;
};

// printf-style constructor of an error.
[[gnu::format(printf, 2, 3)]] Status error(StatusCode code, const char* format, ...);

// A value or the reason why there is none.
template <typename T>
class [[nodiscard]] Result {
  public:
    Result(T value) : value_(std::move(value)) {}
    Result(Status status) : status_(std::move(status)) { assert(!status_.ok()); }

    bool ok() const { return value_.has_value(); }
    const Status& status() const { return status_; }

    T& operator*() & { return *value_; }
    const T& operator*() const& { return *value_; }
    T&& operator*() && { return std::move(*value_); }
    T* operator->() { return &*value_; }
    const T* operator->() const { return &*value_; }

  private:
    std::optional<T> value_;
    Status status_;
};

}  // namespace dunlin

// Leaves the function with the error, if there is one.
#define DUNLIN_TRY(expression)                                    \
    do {                                                          \
        if (::dunlin::Status status_ = (expression); !status_.ok()) return status_; \
    } while (false)

#define DUNLIN_CONCAT_INNER(a, b) a##b
#define DUNLIN_CONCAT(a, b) DUNLIN_CONCAT_INNER(a, b)
// DUNLIN_ASSIGN(auto x, mayFail()): declares x from the value, or leaves the function with the error.
#define DUNLIN_ASSIGN(declaration, expression) \
    DUNLIN_ASSIGN_INNER(DUNLIN_CONCAT(result_, __LINE__), declaration, expression)
#define DUNLIN_ASSIGN_INNER(result, declaration, expression) \
    auto result = (expression);                              \
    if (!result.ok()) return result.status();                \
    declaration = *std::move(result)
