// Layers of real networks as problems for single kernels: what goes in, what must come out, and in which forms a kernel
// could be run. What tuning, tests and the benchmark verify before they trust or time anything.
#pragma once

#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "runtime/image/preprocess.h"
#include "runtime/plan/dispatch_cost.h"
#include "runtime/plan/lower.h"
#include "runtime/weights/weights_source.h"

namespace dunlin::tuning {

// A lowered network that cases are taken from. Immutable, shared by them.
struct SourceNetwork {
    std::string name;  // of the architecture
    Graph graph;
    LoweredNetwork lowered;
    PreprocessSpec preprocess;
    std::shared_ptr<const WeightsSource> weights;
};

// Of one of its dispatches (plan/case_id.h).
std::string caseId(const SourceNetwork& network, size_t dispatch);

// One dispatch of a network, as a problem.
struct KernelCase {
    // "depthwise/56x56x72/k3s1": the kernel, the input's height, width and channels, and whatever else makes the
    // problem another one (output channels, kernel size and stride, activation, gate, residual, heads, batch ...).
    // Cases with equal ids are the same problem.
    std::string id;
    std::shared_ptr<const SourceNetwork> network;
    size_t dispatch = 0;                // of network->lowered
    std::vector<std::string> networks;  // all that have this layer

    const DispatchOrigin& origin() const { return network->lowered.origins[dispatch]; }
    Kernel kernel() const { return kernelOf(origin().call); }
    Precision precision() const { return network->lowered.program.precision; }
};

// The distinct problems of the networks, in order of first appearance. Those of different precisions stay apart.
std::vector<KernelCase> casesOf(std::span<const std::shared_ptr<const SourceNetwork>> networks);

// The case in one form: the dispatch, and the tensors whose size hangs on the form (partial sums).
struct FormedCase {
    std::string id;       // "depthwise/56x56x72/k3s1/fp16/tile4x1-texel"
    std::string variant;  // its last part
    KernelForm form;
    bool isDefault = false;  // what the lowering chooses for this device where no table says otherwise
    Dispatch dispatch;
    std::map<TensorId, uint64_t> tensorBytes;  // of every tensor that it binds
    // What sessions run as well once they have this form, so that it is right only where these are: preprocess for
    // other kinds of source. formsOf() leaves it empty.
    std::vector<FormedCase> companions;
};

// The case in every candidate form (plan/form_candidates.h), the default first. What preprocess' dispatch lacks is the
// source: the first binding and the rest of the push constants.
// `limits`: those that the network was lowered for.
std::vector<FormedCase> formsOf(const KernelCase& problem, const DeviceLimits& limits);

// The case in any form, be the kernel compiled for it or not: for other people's shaders. The caller sees that the form
// makes sense, and that the dispatch fits (dispatch_builders.h).
FormedCase inForm(const KernelCase& problem, const KernelForm& form, const DeviceLimits& limits);

// Input tensors with random values, weights from the network's source, and what the oracle makes of them. Values are
// rounded to float16 whatever the precision, so that both precisions see the same numbers. Contents lie as the device
// stores them. Immutable.
struct CaseData {
    // Values that the dispatch must write to one tensor.
    struct Expected {
        enum class Stored {
            Elements,    // one each, at `offsets`
            TwoParts,    // as the sum of two neighbouring elements (moments)
            PartialSums  // float32 [images][partials][channel groups] that add up to the values times `pixels`
        };
        TensorId tensor = -1;
        Stored stored = Stored::Elements;
        std::vector<double> values;
        std::vector<uint64_t> offsets;          // in bytes, of each; empty for partial sums
        std::vector<uint64_t> padding;          // offsets of elements that must be zero
        std::vector<uint64_t> others;           // of those that the oracle did not compute: they must be finite
        Precision precision = Precision::Fp32;  // of the stored elements
        bool isInteger = false;                 // uint32 (top classes), which must be equal
        bool hasOwnScale = false;               // its error counts beside its own largest value, not that of all
        Shape sumsShape;                        // partial sums: images and channels
        double pixels = 1;
    };
    std::map<TensorId, std::vector<std::byte>> contents;  // of what it reads
    std::vector<Expected> expected;
    // Preprocess, instead of the first binding: RGBA8, pictureWidth x pictureHeight; and what the CPU makes of it, as
    // float32 planes [3][height][width] of the network's size, for forms that take tensors (case_runner.h chooses).
    std::vector<std::byte> picture, planes;
    int pictureWidth = 0, pictureHeight = 0;
    double tolerance = 0;  // of maxRelativeError, for the case's precision
};

// Slow: about a nanosecond for each multiply-add of the layer. Of dense layers with more than 2e8 the oracle computes a
// sample of rows (of pixels, where each is computed by itself). Fails where the weights do. The partial sums that a
// form writes are checked as the mean that they make, so `form` need not be known here.
Result<CaseData> makeData(const KernelCase& problem);

// The largest error of what a dispatch wrote, over the largest expected value (of all its outputs; over 1 where all are
// zero); infinite where something is missing or not finite, an integer differs, a padding lane is not zero, or
// bytes of an expected tensor that are not the dispatch's (other rows, images or outputs) lost the runner's 0xff.
// `written` has the bytes of the form's tensors.
double maxRelativeError(const KernelCase& problem, const CaseData& data, const FormedCase& form,
                        const std::map<TensorId, std::vector<std::byte>>& written);

// What is wrong with what a dispatch wrote, for people: elements that were never written or are not finite, what it
// wrote beside its part, or the worst element with its value and the oracle's.
std::string describeMismatch(const KernelCase& problem, const CaseData& data, const FormedCase& form,
                             const std::map<TensorId, std::vector<std::byte>>& written);

}  // namespace dunlin::tuning
