// One model from the network into its folder: resumed where it was cut, verified, and never half there.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>

#include "tools/dunlin/download.h"
#include "tools/dunlin/outcome.h"
#include "tools/dunlin/pulled_models.h"

namespace dunlin::cli {

// A file that is no larger is asked for. The largest network of the registry has 1.4 GB.
constexpr uint64_t kMaxPullBytes = uint64_t{8} << 30;

// What is to be pulled.
struct ModelSource {
    std::string name;  // of the folder; isModelName()
    std::string url;
    std::string file;    // the weights' name in the folder: kSafetensorsName or kCheckpointName
    std::string sha256;  // 64 digits, or at least the first 8
    uint64_t bytes = 0;  // 0: not known before the server says
    std::string licence, publisher;
    std::string config;     // what config.json becomes; empty: there is none, or it comes from configUrl
    std::string configUrl;  // where config.json is published; empty: nowhere
    // Where the names of the classes are published, one a line, and the whole hash of that file; empty: nowhere. They
    // become label_names of `config`; where they cannot be had, a notice says so and the model comes without.
    std::string labelsUrl, labelsSha256;
};

struct PullSettings {
    std::filesystem::path folder;  // of all models: CACHE/models
    bool force = false;            // download what is there already
    bool quiet = false;
    uint64_t maxBytes = kMaxPullBytes;
    int attempts = 4;                             // in a row that bring nothing new
    std::chrono::milliseconds firstPause{1'000};  // before the second attempt; doubles each time
    // Whether what is in a folder opens as a model; asked before weights take the place of others. Empty: not asked.
    std::function<Check(const std::filesystem::path&)> opens = {};
    // Bytes that may still be written into a folder; empty: the system is asked.
    std::function<std::optional<uint64_t>(const std::filesystem::path&)> freeBytes = {};
};

struct PulledModel {
    std::filesystem::path folder;
    PullRecord record;
    bool wasThere = false;
};

// Leaves in settings.folder/NAME the weights, config.json and pulled.json, in this order, each complete or not there at
// all. What has come so far is kept under FILE.part when the download cannot go on. Of two processes that pull one
// model the second waits and then finds it. Notices and progress go to stderr.
// WrongUse: other weights of this name are there, and settings.force is not set. BadInput: nothing to be had at the
// address, another hash than expected (the file is removed), no space, a folder that cannot be written; one sentence
// with the address or path.
Outcome<PulledModel> pullModel(const ModelSource& source, const PullSettings& settings, Downloader& downloader);

}  // namespace dunlin::cli
