// Opening a model: architecture and weights from a file, a folder, bytes in memory, or a formula.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "models/registry.h"
#include "runtime/backend.h"
#include "runtime/weights/mapped_file.h"

namespace dunlin {

struct ModelOptions {
    std::string architecture;    // empty: from config.json, else recognised from tensor names and shapes
    std::string weights;         // empty, a path, or "synthetic"
    std::string modelArguments;  // JSON object like config.json's model_args, applied over it; empty: none
    // The bytes of a weights file, with the text of its config.json, instead of files; `weights` must be empty.
    std::optional<FileBytes> bytes;
    std::string config;  // empty: none
    // Formula weights only: multiplies the running variance of the named BatchNorm (references use it).
    std::map<std::string, double> runningVarianceScale;
};

struct Model {
    ModelData data;
    Architecture architecture;
    ArchitectureOptions options;
    std::string alsoFits;  // another architecture that the weights fit, where they had to be recognised; empty: none
    // Whose weights these may be instead, with pictures prepared in another way; empty: nobody's, or a file says how.
    std::string otherPublisher;
    std::vector<std::string> labels;  // by class; empty where the files have none
    int labelOffset = 0;              // 1 where class 0 is background
    std::string weightsDescription;   // "synthetic", the file's path, or the name that was given to bytes in memory
    uint64_t weightsBytes = 0;        // of the file; of a formula, of its tensors as float32
};

// `name` is an architecture, a file, or a folder as published on the hub (cli.md's MODEL). What ends in .safetensors or
// .pth or contains a slash is a path, the rest a name. With `options.bytes` it is only what messages call them, and no
// file is looked at. Checks every tensor's shape before returning.
Result<std::shared_ptr<const Model>> openModel(const std::string& name, const ModelOptions& options);

}  // namespace dunlin
