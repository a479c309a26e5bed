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

// The distinct problems of the networks, in order of first appearance.
std::vector<KernelCase> casesOf(std::span<const std::shared_ptr<const SourceNetwork>> networks);

// The case in one form: the dispatch, and the tensors whose size hangs on the form (partial sums).
struct FormedCase {
    std::string id;       // "depthwise/56x56x72/k3s1/fp16/tile4x1-texel"
    std::string variant;  // its last part
    KernelForm form;
    bool isDefault = false;  // what kernel_forms.h chooses for this device
    Dispatch dispatch;
    std::map<TensorId, uint64_t> tensorBytes;  // of every tensor that it binds
};

// Every form that the kernel was compiled for and that fits the device, the default first: each tile and load path,
// with the default's workgroup and, where that may pay, some others.
std::vector<FormedCase> formsOf(const KernelCase& problem, const DeviceLimits& limits);

// Input tensors with random values, weights from the network's source, and what the oracle makes of them. Values are
// rounded to float16 whatever the precision, so that both precisions see the same numbers. Contents lie as the device
// stores them. Immutable.
struct CaseData {
    struct Expected {
        TensorId tensor = -1;
        std::vector<double> values;             // that the dispatch must write
        std::vector<uint64_t> offsets;          // in bytes, of each
        Precision precision = Precision::Fp32;  // of the stored elements
        bool isInteger = false;                 // uint32 (top classes), which must be equal
    };
    std::map<TensorId, std::vector<std::byte>> contents;  // of what it reads
    std::vector<Expected> expected;
    std::vector<std::byte> picture;  // preprocess: RGBA8, pictureWidth x pictureHeight, instead of the first binding
    int pictureWidth = 0, pictureHeight = 0;
    double tolerance = 0;  // of maxRelativeError, for the case's precision
};

// Slow: the oracle computes the whole layer. Fails where the weights do. The partial sums that a form writes are
// checked as the mean that they make, so `form` need not be known here.
Result<CaseData> makeData(const KernelCase& problem);

// The largest error of what a dispatch wrote, over the largest expected value; infinite where something is not finite,
// an integer differs, or a padding lane is not zero. `written` has the bytes of the form's tensors.
double maxRelativeError(const KernelCase& problem, const CaseData& data, const FormedCase& form,
                        const std::map<TensorId, std::vector<std::byte>>& written);

}  // namespace dunlin::tuning
