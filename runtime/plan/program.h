// A network lowered to dispatches: plain data that can be printed, compared and checked without a GPU.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <type_traits>
#include <vector>

#include "runtime/graph/graph.h"
#include "runtime/graph/tensor.h"

namespace dunlin {

// The kernels, in the order of the table in kernels.cpp.
enum class Kernel : uint8_t {
    Preprocess,
    Conv2d,
    Pointwise,
    Depthwise,
    SqueezeExcite,
    Pool,
    Head,
    Export,
    Attention,
    SeparableAttention,
    LayerNorm,
    Moments,
    EmbedTokens,
    Resize,
    MaxPool,
    PooledLinear,
    InvertedResidual,
};

// How a kernel reads its large inputs: through uniform texel buffers (faster on software drivers and Adreno, limited in
// elements) or storage buffers.
enum class LoadPath : uint8_t { Texel, Storage };

// How a kernel's work is shared out, where there is more than one way: pointwise. shaders/README.md says when each
// pays.
enum class Method : uint8_t {
    Registers,    // an invocation computes a tile by itself
    SharedTiles,  // a workgroup loads inputs and weights into shared memory for all of its invocations
    SplitK,       // neighbours share out the input channels of a tile
    Matrix,       // subgroups multiply matrices that lie in shared memory: DeviceLimits::matrix, float16 only
};

// Specialization constants, by constant_id. 0 is the workgroup's size, 1 its lanes for channel groups; the rest are
// listed by kernel in kernels.h.
constexpr size_t kMaxConstants = 16;

// One pipeline: a SPIR-V module (kernel, precision, load path, method, tile) and its specialization constants.
struct Variant {
    Kernel kernel = Kernel::Preprocess;
    Precision precision = Precision::Fp32;
    LoadPath load = LoadPath::Storage;
    // Outputs computed by one invocation. Pointwise: pixels x channel groups; conv2d and depthwise: columns x rows
    // (conv2d: one channel group); pooled_linear: 1 x channel groups; preprocess: tileX is the source kind. 1x1 for
    // kernels without tiles. By one workgroup: inverted_residual, columns x rows. By one subgroup, in matrices of the
    // device's: pointwise by Method::Matrix.
    uint8_t tileX = 1, tileY = 1;
    std::array<uint32_t, kMaxConstants> constants{};
    Method method = Method::Registers;

    bool operator==(const Variant&) const = default;
    auto operator<=>(const Variant&) const = default;
};

// "pointwise.f32.texel.8x2 local=64 activation=hard-swish gate"
std::string describe(const Variant& variant);

using TensorId = int32_t;

constexpr uint32_t kFloatGroupBytes = 16;  // of a channel group in float32; of float16, half as many

enum class Storage : uint8_t {
    Arena,     // planned, aliased, one arena a slot
    Constant,  // weights, packed once for all sessions of a model
    Input,     // given by the caller at record time
    Output,    // given by the caller at record time
};

// A buffer range that dispatches read and write. Arena tensors are in channel groups of `groupBytes`.
struct Tensor {
    std::string name;
    Storage storage = Storage::Arena;
    Shape shape;                             // logical; {} for scratch
    uint32_t groupBytes = kFloatGroupBytes;  // bytes of one vec4: 16 for float32, 8 for float16
    uint64_t sizeBytes = 0;
    int constantIndex = -1;  // into constantsOf(graph), for Storage::Constant
};

// One binding of a dispatch, in the order of the kernel's table row. The range is what the descriptor covers;
// `offsetBytes` is a multiple of DeviceLimits::offsetAlignment from the tensor's start.
struct Binding {
    TensorId tensor = -1;  // -1: unused by this variant (bound to whatever is at hand, never read)
    uint64_t offsetBytes = 0;
    uint64_t sizeBytes = 0;
    bool write = false;
    bool operator==(const Binding&) const = default;
};

// Vulkan guarantees 128 bytes of push constants.
struct PushConstants {
    std::array<std::byte, 128> bytes{};
    uint32_t size = 0;

    template <typename Params>
    static PushConstants of(const Params& params) {
        static_assert(std::is_trivially_copyable_v<Params> && sizeof(Params) <= 128);
        PushConstants result;
        std::memcpy(result.bytes.data(), &params, sizeof(Params));
        result.size = sizeof(Params);
        return result;
    }
    template <typename Params>
    Params as() const {
        Params params;
        std::memcpy(&params, bytes.data(), sizeof(Params));
        return params;
    }
};

struct Dispatch {
    std::string name;  // the graph node that it ends with: "blocks.1.0.conv_dw"
    Variant variant;
    std::vector<Binding> bindings;
    PushConstants push;  // preprocess: completed at record time, when the source is known
    std::array<uint32_t, 3> workgroups = {1, 1, 1};
    int image = 0;  // preprocess only: which image of the batch
};

// Where a caller finds an output in the output buffer.
struct OutputSlice {
    std::string name;        // "logits", "probabilities", "top_classes", "top_probabilities", or a tap's
    Shape shape;             // [n, 1, 1, classes] and so on; NHWC for maps
    bool isInteger = false;  // uint32 instead of float32
    uint64_t offsetBytes = 0, sizeBytes = 0;
};

struct Program {
    Shape input;
    Precision precision = Precision::Fp32;
    std::vector<Tensor> tensors;
    std::vector<Dispatch> dispatches;
    std::vector<OutputSlice> outputs;  // all in one buffer of outputBytes, Storage::Output
    TensorId outputTensor = -1;
    uint64_t outputBytes = 0;
    int microBatch = 0;  // images that go through the network together; divides the batch
};

// Distinct variants, which is the number of pipelines that the program needs for one kind of input.
size_t countPipelines(const Program& program);
// One line a dispatch.
std::string print(const Program& program);

}  // namespace dunlin
