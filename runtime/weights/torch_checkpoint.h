// Reading PyTorch checkpoints: a zip archive with a pickle that describes the tensors and one entry for each storage, or,
// as before PyTorch 1.6, pickles and storages one after another.
#pragma once

#include <memory>

#include "runtime/weights/mapped_file.h"
#include "runtime/weights/weights_source.h"

namespace dunlin {

// The state dictionary of a checkpoint as torch.save writes it, or wrote it since PyTorch 0.4. Where training code wrapped it
// ({"state_dict": ...}, {"model": ...}) the wrapped one is taken, averaged weights ({"state_dict_ema": ...}) before
// others. Runs no code of the file: BadFile names what it would run. Numbers are read when asked for, from the mapped
// bytes.
Result<std::shared_ptr<const WeightsSource>> openTorchCheckpoint(const FileBytes& file);

// Whether the bytes begin like a zip archive or a pickle.
bool looksLikeTorchCheckpoint(std::span<const std::byte> bytes);

}  // namespace dunlin
