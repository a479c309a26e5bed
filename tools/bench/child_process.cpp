#include "tools/bench/child_process.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <optional>

#if !defined(_WIN32)
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

extern char** environ;
#endif
#if defined(__APPLE__)
#include <mach-o/dyld.h>
#endif

namespace dunlin::bench {

using cli::ExitStatus;
using cli::Failure;
using cli::Outcome;

Outcome<std::string> ownExecutable() {
#if defined(__APPLE__)
    std::array<char, 4096> path{};
    uint32_t size = path.size();
    if (_NSGetExecutablePath(path.data(), &size) == 0) return std::string(path.data());
#elif !defined(_WIN32)
    std::error_code failed;
    const std::filesystem::path path = std::filesystem::read_symlink("/proc/self/exe", failed);
    if (!failed) return path.string();
#endif
    return Failure{ExitStatus::DeviceFailed, "this system does not say which program is running"};
}

#if defined(_WIN32)

Outcome<ChildResult> runChild(const std::string&, const std::vector<std::string>&,
                              const std::vector<std::pair<std::string, std::string>>&, double,
                              const InterruptionCheck&) {
    return Failure{ExitStatus::DeviceFailed, "starting processes is not written for Windows yet"};
}

#else
namespace {

Failure failed(const char* what, int code) {
    return {ExitStatus::DeviceFailed, fmt::format("{}: {}", what, std::strerror(code))};
}

// "NAME=VALUE", the given ones in place of this process's.
std::vector<std::string> mergedEnvironment(const std::vector<std::pair<std::string, std::string>>& additions) {
    std::vector<std::string> variables;
    for (char** variable = environ; *variable != nullptr; ++variable) {
        const std::string text = *variable;
        const bool isReplaced = std::any_of(additions.begin(), additions.end(),
                                            [&](const auto& one) { return text.starts_with(one.first + "="); });
        if (!isReplaced) variables.push_back(text);
    }
    for (const auto& [name, value] : additions) variables.push_back(name + "=" + value);
    return variables;
}

std::vector<char*> pointersTo(std::vector<std::string>& texts) {
    std::vector<char*> pointers;
    for (std::string& text : texts) pointers.push_back(text.data());
    pointers.push_back(nullptr);
    return pointers;
}

// Its end for reading, which this closes.
class Pipe {
  public:
    Pipe() : error_(pipe(ends_.data()) == 0 ? 0 : errno) {
        for (int end : ends_) {
            if (end >= 0) fcntl(end, F_SETFD, FD_CLOEXEC);  // not inherited but where it is asked for
        }
    }
    ~Pipe() {
        closeWriting();
        if (ends_[0] >= 0) close(ends_[0]);
    }
    Pipe(const Pipe&) = delete;
    Pipe& operator=(const Pipe&) = delete;
    int error() const { return error_; }
    int reading() const { return ends_[0]; }
    int writing() const { return ends_[1]; }
    void closeWriting() {
        if (ends_[1] >= 0) close(ends_[1]);
        ends_[1] = -1;
    }

  private:
    std::array<int, 2> ends_ = {-1, -1};
    int error_;
};

Outcome<pid_t> spawn(const std::string& executable, const std::vector<std::string>& words,
                     const std::vector<std::pair<std::string, std::string>>& environment, int output) {
    std::vector<std::string> arguments = {executable}, variables = mergedEnvironment(environment);
    arguments.insert(arguments.end(), words.begin(), words.end());
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
    posix_spawn_file_actions_adddup2(&actions, output, STDERR_FILENO);
    pid_t process = -1;
    const int code = posix_spawn(&process, executable.c_str(), &actions, nullptr, pointersTo(arguments).data(),
                                 pointersTo(variables).data());
    posix_spawn_file_actions_destroy(&actions);
    if (code != 0) return failed("another process could not be started", code);
    return process;
}

// What comes until the other end is closed; nothing after the timeout or an interruption.
std::optional<std::string> readAll(int end, double timeoutSeconds, const InterruptionCheck& isInterrupted) {
    using Clock = std::chrono::steady_clock;
    const Clock::time_point deadline =
        Clock::now() + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(timeoutSeconds));
    std::string text;
    std::array<char, 4096> part;
    constexpr long long kCheckMs = 200;  // for interruptions that another thread has heard of
    while (true) {
        const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now()).count();
        if (left <= 0 || (isInterrupted && isInterrupted())) return std::nullopt;
        pollfd ready = {end, POLLIN, 0};
        const int count = poll(&ready, 1, static_cast<int>(std::min<long long>(left, kCheckMs)));
        if (count <= 0) continue;  // the time is not over, or a signal came
        const ssize_t bytes = read(end, part.data(), part.size());
        if (bytes > 0) text.append(part.data(), static_cast<size_t>(bytes));
        if (bytes == 0 || (bytes < 0 && errno != EINTR)) return text;
    }
}

int waitFor(pid_t process) {
    int status = 0;
    while (waitpid(process, &status, 0) < 0 && errno == EINTR) {
    }
    return status;
}

}  // namespace

Outcome<ChildResult> runChild(const std::string& executable, const std::vector<std::string>& words,
                              const std::vector<std::pair<std::string, std::string>>& environment,
                              double timeoutSeconds, const InterruptionCheck& isInterrupted) {
    Pipe output;
    if (output.error() != 0) return failed("a pipe could not be made", output.error());
    DUNLIN_CLI_ASSIGN(const pid_t process, spawn(executable, words, environment, output.writing()));
    output.closeWriting();
    std::optional<std::string> text = readAll(output.reading(), timeoutSeconds, isInterrupted);
    if (!text) kill(process, SIGKILL);
    const int status = waitFor(process);
    if (!text && isInterrupted && isInterrupted()) {
        return Failure{ExitStatus::Interrupted, "the process was stopped by an interruption"};
    }
    if (!text) {
        return Failure{ExitStatus::DeviceFailed,
                       fmt::format("the process was stopped after {:.0f} s without an end", timeoutSeconds)};
    }
    if (WIFSIGNALED(status)) {
        return Failure{ExitStatus::DeviceFailed, fmt::format("the process died of signal {}", WTERMSIG(status))};
    }
    return ChildResult{WEXITSTATUS(status), *std::move(text)};
}

#endif

}  // namespace dunlin::bench
