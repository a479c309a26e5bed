// Opening a model: architecture and weights from a file, a folder, a shipped model, or a formula.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "models/registry.h"
#include "runtime/backend.h"

namespace dunlin {

struct ModelOptions {
    std::string architecture;       // empty: from config.json, else recognised from tensor names and shapes
    std::string weights;            // empty, a path, or "synthetic"
    std::string modelArguments;     // JSON object like config.json's model_args, applied over it; empty: none
    // Formula weights only: multiplies the running variance of the named BatchNorm (references use it).
    std::map<std::string, double> runningVarianceScale;
};

struct Model {
    ModelData data;
    Architecture architecture;
    ArchitectureOptions options;
    std::string alsoFits;  // another architecture that the weights fit, where they had to be recognised; empty: none
    std::vector<std::string> labels;  // by class; empty where the files have none
    int labelOffset = 0;              // 1 where class 0 is background
    std::string weightsDescription;   // "synthetic" or the file's path
    uint64_t weightsBytes = 0;        // of the file; of a formula, of its tensors as float32
};

// `name` is an architecture, a file, or a folder as published on the hub (cli.md's MODEL). What ends in .safetensors or
// .pth or contains a slash is a path, the rest a name. Checks every tensor's shape before returning.
Result<std::shared_ptr<const Model>> openModel(const std::string& name, const ModelOptions& options);

}  // namespace dunlin
