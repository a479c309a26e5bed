// Errors of the command line as values: an exit status and one sentence. The library's own errors become these.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <variant>

namespace dunlin::cli {

// What the shell sees.
enum class ExitStatus {
    Done = 0,
    No = 1,            // the answer is no: a verification failed, a comparison regressed
    WrongUse = 2,      // an option, name, size or device that makes no sense or does not exist
    BadInput = 3,      // a file that is absent, broken or hostile
    DeviceFailed = 4,  // the device, or the memory, gave out
    Interrupted =
        130,  // by the user, after what there was has been printed; as shells say it of a program that SIGINT ended
};

// Why something was not done: one sentence, without a full stop, that names the file or the value and the limit.
struct Failure {
    ExitStatus status = ExitStatus::BadInput;
    std::string message;
};

// Nothing, or the reason why something was not done.
using Check = std::optional<Failure>;

// A value, or the reason why there is none.
template <typename T>
class [[nodiscard]] Outcome {
  public:
    Outcome(T value) : content_(std::move(value)) {}
    Outcome(Failure failure) : content_(std::move(failure)) {}

    bool ok() const { return std::holds_alternative<T>(content_); }
    const Failure& failure() const { return std::get<Failure>(content_); }

    T& operator*() & { return std::get<T>(content_); }
    const T& operator*() const& { return std::get<T>(content_); }
    T&& operator*() && { return std::get<T>(std::move(content_)); }
    T* operator->() { return &std::get<T>(content_); }
    const T* operator->() const { return &std::get<T>(content_); }

  private:
    std::variant<T, Failure> content_;
};

}  // namespace dunlin::cli

// Leaves the function with the failure, if there is one.
#define DUNLIN_CLI_TRY(expression)                                                   \
    do {                                                                             \
        if (::dunlin::cli::Check failed_ = (expression)) return *std::move(failed_); \
    } while (false)

#define DUNLIN_CLI_CONCAT_INNER(a, b) a##b
#define DUNLIN_CLI_CONCAT(a, b) DUNLIN_CLI_CONCAT_INNER(a, b)
// DUNLIN_CLI_ASSIGN(auto x, mayFail()): declares x from the value, or leaves the function with the failure.
#define DUNLIN_CLI_ASSIGN(declaration, expression) \
    DUNLIN_CLI_ASSIGN_INNER(DUNLIN_CLI_CONCAT(outcome_, __LINE__), declaration, expression)
#define DUNLIN_CLI_ASSIGN_INNER(outcome, declaration, expression) \
    auto outcome = (expression);                                  \
    if (!outcome.ok()) return outcome.failure();                  \
    declaration = *std::move(outcome)
