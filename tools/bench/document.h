// The JSON document that every measurement gives. Its layout, whoever writes or reads it:
//
//   format      kFormat
//   kind        "model", "kernels" or "shader"
//   version     of dunlin; commit: of its sources, "" where unknown; date: UTC, "2026-11-22T09:00:00Z"
//   host        {system, processor, cpus}
//   devices[]   target.h's identityOf()
//   ceilings    {device id: ceilings.h's jsonOf()}; without those that were not measured
//   notices[]   sentences: what was not measured, and why
//   complete    false where the device was lost, a shader hung or the user interrupted: results are those before
//   results[]   a row for each measurement:
//
// of every kind: id, unique in the document; device; precision "fp32" or "fp16"; error: a sentence instead of all
// measurements. What was not measured is null. Times are medians unless their name says otherwise.
//
// model    id "mobilenetv3_small_100/224x224/b1/fp32/vulkan:0" (size "own" where MODEL could not be opened); model,
//          family, weights, size [height, width], batch, fusion, threads (CPU); pictures are of the network's own size.
//          With --tune, tuned runs, whose ids end in "/tuned": tuning {seconds, problems, tuned, formsTried,
//          formsRejected}, null for others.
//          correct, maxRelativeError (null if not finite), deterministic: of the logits beside the CPU's (null on the
//          CPU); where they are false, error says so and nothing was timed.
//          coldStartMs, warmStartMs: of a process, from when it has read its command line to its first result; formula
//          weights are computed in that time (model_starts.h says what is cold). gpuMedianMs: of a frame, between
//          a timestamp before its first dispatch and one after its last, its picture on the device, from runs of their
//          own (null without a GPU clock that moves). wallMedianMs, wallP95Ms, wallMinMs, wallSpread (the
//          interquartile range over the median): of a blocking run from pixels to results in host memory. cpuSubmitUs:
//          the calling thread's processor time (CLOCK_THREAD_CPUTIME_ID) in one submission of recorded commands to an
//          idle queue, submitUs the wall's of the same call. frameMs2, frameMs3: a frame's share of a steady stream
//          with so many in flight, pictures on the device, results read. deviceBytes: of a session with one frame in
//          flight; hostBytes: the most that a start had resident, less what was before the device was opened. runs
//          (blocking, timed); dispatches, barriers (null on the CPU); limitMs (roofline.h) and limitShare (of
//          gpuMedianMs, else of wallMedianMs: 1 is the limit); samples {wallMs[], gpuMs[]} in the order taken; layers[]
//          (empty where gpuMedianMs is null; by a timestamp after each dispatch, in a few more runs, which those may
//          slow down): {name, kernel, variant, shape "1x112x112x16", medianUs, bytes, flops, limitUs, rooflineShare}
// kernels  id "depthwise/56x56x72/k3s1/fp16/tile4x1-texel"; case: the id without precision and variant; kernel;
//          variant; networks[]; correct, maxRelativeError (null if not finite), tolerance, mismatch (where wrong: what
//          and where), deterministic; clock "gpu" or "wall"; medianUs, minUs, p95Us, samplesUs[]; bytes, flops, gflops,
//          gbps, limitUs, rooflineShare; isDefault (what is taken without tuning), isBest (what tuning would take);
//          statistics {name: number} of the driver
// shader   as kernels; the user's own has variant "FILE.comp" and isUser true
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "tools/dunlin/outcome.h"

namespace dunlin::bench {

using Json = nlohmann::ordered_json;

constexpr int kFormat = 1;

// A document without results, with this build and host filled in.
Json newDocument(std::string_view kind);

// Reads and checks a document: BadInput, naming the file and the field, for what is no such document.
cli::Outcome<Json> readDocument(const std::filesystem::path& file);
// Before a long measurement: BadInput, with the file's name, where it could not be written. An empty name is no file.
cli::Check checkWritable(const std::filesystem::path& file);
// Through a temporary file beside it, so that a reader sees the old one or the new one, whole.
cli::Check writeDocument(const Json& document, const std::filesystem::path& file);

}  // namespace dunlin::bench
