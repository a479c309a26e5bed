// The misbehaving file server of pull_server.py, for as long as a test needs it.
#pragma once

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tests/tools/temporary_folder.h"

namespace dunlin::test {

class PullServer {
  public:
    struct Certificate {
        std::string certificate, key;
    };

    // Serves the folder `files` in `folder`.
    explicit PullServer(const TemporaryFolder& folder, const Certificate& certificate = {})
        : folder_(folder),
          log_(folder / ("requests" + std::to_string(certificate.key.size()) + ".log")),
          scheme_(certificate.key.empty() ? "http" : "https") {
        std::filesystem::create_directories(folder / "files");
        int ends[2] = {};
        EXPECT_EQ(pipe(ends), 0);
        process_ = fork();
        if (process_ == 0) {
            dup2(ends[1], STDOUT_FILENO);
            close(ends[0]);
            close(ends[1]);
            const std::string files = folder / "files";
            const char* words[] = {"python3",     DUNLIN_SOURCE_DIR "/tests/tools/pull_server.py",
                                   files.c_str(), log_.c_str(),
                                   nullptr,       nullptr,
                                   nullptr};
            if (!certificate.key.empty()) {
                words[4] = certificate.certificate.c_str();
                words[5] = certificate.key.c_str();
            }
            execvp(words[0], const_cast<char* const*>(words));
            _exit(127);
        }
        close(ends[1]);
        std::FILE* out = fdopen(ends[0], "r");
        if (std::fscanf(out, "%d", &port_) != 1) port_ = 0;
        std::fclose(out);
        EXPECT_NE(port_, 0) << "the server does not start";
    }
    ~PullServer() {
        kill(process_, SIGKILL);
        waitpid(process_, nullptr, 0);
    }
    PullServer(const PullServer&) = delete;
    PullServer& operator=(const PullServer&) = delete;

    // The address of a new file, or of one with new content.
    std::string file(std::string_view name, std::string_view content) const {
        folder_.file("files/" + std::string(name), content);
        return url(name);
    }
    std::string url(std::string_view name) const {
        return scheme_ + "://127.0.0.1:" + std::to_string(port_) + "/" + std::string(name);
    }
    int port() const { return port_; }

    // The "range" of every request so far ("" where there was none), in their order.
    std::vector<std::string> ranges() const {
        std::vector<std::string> all;
        for (const nlohmann::json& request : requests()) {
            all.push_back(request["range"].is_string() ? request["range"].get<std::string>() : "");
        }
        return all;
    }
    std::vector<nlohmann::json> requests() const {
        std::vector<nlohmann::json> all;
        std::ifstream log(log_);
        for (std::string line; std::getline(log, line);) all.push_back(nlohmann::json::parse(line));
        return all;
    }

  private:
    const TemporaryFolder& folder_;
    const std::string log_, scheme_;
    pid_t process_ = -1;
    int port_ = 0;
};

// What this machine's user has set must not reach the tests.
inline void forgetNetworkSettings() {
    for (const char* variable : {"http_proxy", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY", "no_proxy",
                                 "NO_PROXY", "HF_ENDPOINT", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR"}) {
        unsetenv(variable);
    }
}

// Content without a pattern that a misplaced piece would fit too.
inline std::string noise(size_t bytes, uint32_t seed = 1) {
    std::string content(bytes, '\0');
    uint32_t state = seed;
    for (char& c : content) {
        state = state * 1664525u + 1013904223u;
        c = static_cast<char>(state >> 24);
    }
    return content;
}

}  // namespace dunlin::test
