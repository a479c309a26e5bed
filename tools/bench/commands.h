// The benchmark's commands, `dunlin bench ...`: what each can be told, and how it is run. Plain values, as in
// tools/dunlin/commands.h.
#pragma once

#include <string>
#include <vector>

#include "tools/dunlin/commands.h"

namespace dunlin::bench {

using cli::ExitStatus;
using cli::Outcome;

// What all measurements can be told. Lists hold at least one element each once parsed.
struct MeasureOptions {
    // "cpu", "vulkan", "vulkan:N". By default one: for models a real GPU, else the CPU with a notice; for kernels the
    // best Vulkan device, be it a software driver.
    std::vector<std::string> devices;
    std::vector<DunlinPrecision> precisions;  // each once; kernels: auto means every precision that the device has
    uint32_t threads = 0;                     // of the CPU; 0: as many as the process may use
    std::string cacheDirectory;               // empty: no cache
    double seconds = 0;                       // of timing for each result; 0: the command's own default
    double timeoutSeconds = 0;                // after which a submission counts as hung; 0: the command's own default
    bool ceilings = true;                     // measure the device's, too
    bool validation = false, quiet = false, json = false;
    std::string output;  // the JSON document goes to this file, too; empty: nowhere
};

struct ModelBenchOptions {
    MeasureOptions measure;
    std::vector<std::string> models;    // cli.md's MODEL; an architecture without weights gets formula weights
    std::string weights;                // of the one model: a file or "synthetic"; empty: its own
    std::vector<cli::InputSize> sizes;  // zeros: the model's own
    std::vector<uint32_t> batches;
    DunlinFusion fusion = DUNLIN_FUSION_DEFAULT;
    double tuneSeconds = 0;  // each Vulkan run is measured a second time, tuned for so long at most; 0: no such runs
    bool starts = true;      // measure cold and warm starts, which run in processes of their own
    std::string trace;       // a Chrome/Perfetto trace goes to this file; empty: nowhere
};

// The networks whose layers are cases.
struct LayerChoice {
    std::vector<std::string> models;    // architectures; none: one or two of each family
    std::vector<std::string> families;  // of networks, whatever the case; none: all
    cli::InputSize size;                // of the networks; zeros: each its own
    uint32_t batch = 1;
};

struct KernelBenchOptions {
    MeasureOptions measure;
    LayerChoice layers;
    std::vector<std::string> filters;  // parts of ids or patterns with * and ?; a case must match one; none: all
    std::vector<std::string> kernels;  // names of kernels; none: all
    bool list = false;                 // only lists the ids
};

struct ShaderBenchOptions {
    MeasureOptions measure;
    LayerChoice layers;
    std::string file;                   // GLSL
    std::string like;                   // an id, whole or a pattern that fits one case
    std::vector<std::string> defines;   // "NAME" or "NAME=VALUE"
    std::vector<std::string> includes;  // folders
    bool watch = false;                 // measure again whenever the file or what it includes changes
};

struct ReportOptions {
    std::vector<std::string> files;
    std::string output;     // .html; empty with `markdown`
    bool markdown = false;  // a table on stdout instead of a page
};

struct CompareOptions {
    std::string before, after;
    double threshold = 0.05;  // how much slower, as a share, counts as a regression
    bool all = false;         // also rows that are the same or unclear
    bool json = false;
};

// One start of an application, in a process of its own, which `model` runs for its cold and warm starts.
struct StartOptions {
    cli::CommonOptions common;
    cli::ModelChoice model;
    cli::InputSize size;
    uint32_t batch = 1;
    DunlinFusion fusion = DUNLIN_FUSION_DEFAULT;
};

// As tools/dunlin/commands.h says of its own.
Outcome<ExitStatus> model(const ModelBenchOptions& options);
Outcome<ExitStatus> kernels(const KernelBenchOptions& options);
Outcome<ExitStatus> shader(const ShaderBenchOptions& options);
Outcome<ExitStatus> report(const ReportOptions& options);
Outcome<ExitStatus> compare(const CompareOptions& options);
// {firstResultMs, hostBytes} on one line.
Outcome<ExitStatus> start(const StartOptions& options);

}  // namespace dunlin::bench
