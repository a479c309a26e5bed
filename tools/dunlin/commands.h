// The commands: what each can be told, and how it is run. Options are plain values, so that parsing is tested apart.
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "dunlin/dunlin.h"
#include "tools/dunlin/outcome.h"

namespace dunlin::cli {

// Options that every command takes which runs a network.
struct CommonOptions {
    std::string device;  // "cpu", "vulkan", "vulkan:N"; empty: a real GPU, else the CPU with a notice
    DunlinPrecision precision = DUNLIN_PRECISION_AUTO;
    uint32_t threads = 0;        // 0: as many as the process may use
    std::string cacheDirectory;  // empty: no cache
    double tuneSeconds = 0;      // 0: no tuning, but what is in the cache is used
    bool validation = false;
    bool quiet = false;
    bool json = false;
};

// MODEL with the options that belong to it.
struct ModelChoice {
    std::string name;          // an architecture, a weights file, a folder as published, or a shipped model
    std::string weights;       // a file or "synthetic"; empty: the model's own
    std::string architecture;  // empty: from the files
};

// Pixels of a network's input; zeros: the model's own.
struct InputSize {
    uint32_t height = 0, width = 0;
    bool operator==(const InputSize&) const = default;
};

struct DevicesOptions {
    bool json = false;
};

struct ModelsOptions {
    bool json = false;
};

struct PullOptions {
    std::string model;           // a name of the table, an address, or hf:OWNER/REPOSITORY; empty with `list`
    std::string sha256;          // 64 small hexadecimal digits; empty: the table's
    std::string as;              // the name to keep it under; empty: the model's own
    std::string cacheDirectory;  // empty: no cache
    bool list = false, force = false, quiet = false, json = false;
};

struct ClassifyOptions {
    CommonOptions common;
    ModelChoice model;
    std::vector<std::string> images;  // files, folders and patterns
    std::string labels;               // a file; empty: the model's own
    uint32_t top = 5;
    uint32_t batch = 1;
    InputSize size;
    bool show = false;  // the pictures themselves on the terminal; not with json
};

struct EvaluateOptions {
    CommonOptions common;
    ModelChoice model;
    std::string folder;
    std::vector<std::string> labels;  // files: names of the classes, and a list of pictures with their classes
    uint32_t limit = 0;               // pictures; 0: all
    uint32_t worst = 5;               // classes
    uint32_t batch = 0;               // 0: by the input's size
    InputSize size;
};

struct RunOptions {
    struct Tap {
        std::string name, file;
        bool operator==(const Tap&) const = default;
    };
    CommonOptions common;
    ModelChoice model;
    std::string input;   // .npy, NCHW
    std::string output;  // .npy for the logits; empty: not written
    std::vector<Tap> taps;
};

struct VerifyOptions {
    CommonOptions common;
    std::vector<std::string> references;
    DunlinFusion fusion = DUNLIN_FUSION_DEFAULT;
};

struct InspectOptions {
    CommonOptions common;
    ModelChoice model;
    bool graph = false, program = false, plan = false;  // none: a summary
    InputSize size;
    uint32_t batch = 1;
    DunlinFusion fusion = DUNLIN_FUSION_DEFAULT;
};

// Text that was asked for instead of a command: --help and --version.
struct PrintText {
    std::string text;
};

using Invocation = std::variant<PrintText, DevicesOptions, ModelsOptions, PullOptions, ClassifyOptions, EvaluateOptions,
                                RunOptions, VerifyOptions, InspectOptions>;

// Each prints its result to stdout and notices to stderr. What went wrong in one of many inputs is reported on stderr
// at once and gives an exit status; what stops the command is a Failure, for the caller to report.
Outcome<ExitStatus> devices(const DevicesOptions& options);
Outcome<ExitStatus> models(const ModelsOptions& options);
Outcome<ExitStatus> pull(const PullOptions& options);
Outcome<ExitStatus> classify(const ClassifyOptions& options);
Outcome<ExitStatus> evaluate(const EvaluateOptions& options);
Outcome<ExitStatus> run(const RunOptions& options);
Outcome<ExitStatus> verify(const VerifyOptions& options);
Outcome<ExitStatus> inspect(const InspectOptions& options);

}  // namespace dunlin::cli
