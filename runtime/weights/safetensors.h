// Reading safetensors: 8 bytes of header length, a JSON header, then the tensors' bytes.
#pragma once

#include <memory>

#include "runtime/weights/mapped_file.h"
#include "runtime/weights/weights_source.h"

namespace dunlin {

constexpr uint64_t kMaxSafetensorsHeaderBytes = 100'000'000;  // the limit of the format's own implementation

// Checks the whole header: names, types, shapes, and that the tensors fill the data without holes or overlaps. BadFile
// says what is wrong and at which byte. Numbers are read when asked for, from the mapped bytes.
Result<std::shared_ptr<const WeightsSource>> openSafetensors(const FileBytes& file);

}  // namespace dunlin
