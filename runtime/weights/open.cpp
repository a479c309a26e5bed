#include "runtime/weights/open.h"

#include <new>

#include "runtime/weights/safetensors.h"
#include "runtime/weights/torch_checkpoint.h"

namespace dunlin {
namespace {

bool hasCheckpointEnding(const std::string& name) {
    for (const char* ending : {".pth", ".pt", ".bin", ".ckpt", ".tar"}) {
        if (name.ends_with(ending)) return true;
    }
    return false;
}

}  // namespace

Result<std::shared_ptr<const WeightsSource>> openWeights(const FileBytes& file) {
    // A safetensors file may begin like a pickle (a header of 128 bytes), so its own name goes first.
    const bool isCheckpoint = !file.name.ends_with(".safetensors") &&
                              (hasCheckpointEnding(file.name) || looksLikeTorchCheckpoint(file.bytes));
    try {
        return isCheckpoint ? openTorchCheckpoint(file) : openSafetensors(file);
    } catch (const std::bad_alloc&) {
        return error(StatusCode::OutOfHostMemory, "%s: no memory for the list of its tensors", file.name.c_str());
    }
}

Result<std::shared_ptr<const WeightsSource>> openWeights(const std::filesystem::path& path) {
    DUNLIN_ASSIGN(const FileBytes file, openFile(path));
    return openWeights(file);
}

}  // namespace dunlin
