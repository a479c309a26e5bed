// The CPU backend: the graph by kernels for the processor's vectors, on as many threads as asked for.
#pragma once

#include <memory>

#include "runtime/backend.h"
#include "runtime/status.h"

namespace dunlin {

// A session on the CPU. `threads`: 0 is the number of processors, 1 works on the calling thread alone, at most
// kMaxThreads. Nothing of `model` is kept. Images of a batch go through the network one after the other, so that the
// memory needed and each image's answer do not depend on the batch. May be called from several threads at once, as may
// the sessions run. InvalidArgument: sizes or threads out of range. Unsupported: fp16. UnknownName: taps. DoesNotFit:
// needs more memory than the machine has available; nothing was allocated. Cancelled: by options.progress. And what
// reading weights returns.
Result<std::unique_ptr<Session>> createCpuSession(const ModelData& model, const SessionOptions& options, int threads);

}  // namespace dunlin
