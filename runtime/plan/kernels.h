// The table of kernels: one row each, which dispatching, tests and benchmarks share.
// Adding a kernel is one shader, one row here, and its list of test cases (shaders/README.md).
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/plan/program.h"
#include "runtime/status.h"

namespace dunlin {

// Of the host code that decides what a kernel computes. RAISE IT whenever dispatches of unchanged shaders change in
// meaning: push constants and workgroup counts (dispatch_builders*.cpp), the layout of packed weights (prepack.cpp,
// stored_layout.cpp), or the bindings and constants of the table below. With the shaders' hash it says whether a
// verdict of tuning, in a file of the user's or of the application's, still speaks of what runs.
constexpr uint32_t kPlannerVersion = 1;

enum class BindingKind : uint8_t {
    Activation,   // read by the variant's load path: uniform texel buffer or storage buffer, of the variant's precision
    Weights,      // the same, constants
    TexelNative,  // always a uniform texel buffer, of the variant's precision: gates (small), and inverted residual
    Storage,      // storage buffer, read or written
    Image,        // preprocess's source: a sampled image or a storage buffer, as the variant's source kind says
};

struct BindingRow {
    const char* name;
    BindingKind kind;
    bool write;
};

// How a specialization constant is read by people; shaders see 32-bit numbers.
enum class ConstantKind : uint8_t {
    Number,
    Flag,        // 0 or 1
    Option,      // 0: off; 1 and more: the ways that the shader's contract lists
    Count,       // 0: does not count in this variant
    Activation,  // enum Activation
};

struct ConstantRow {
    const char* name;
    ConstantKind kind;
};

// A way to run a kernel by another method than Registers, offered like its tiles.
struct MethodRow {
    Method method;
    std::array<uint8_t, 2> tile;
    uint32_t localSize;  // of Matrix: subgroups
    uint32_t groupLanes;
};

// Which variants of a method there are.
constexpr bool isCompiled(Method method, Precision precision, LoadPath load) {
    return method != Method::Matrix || (precision == Precision::Fp16 && load == LoadPath::Storage);
}

struct KernelRow {
    Kernel kernel;
    const char* name;                      // also the shader's file name: shaders/<name>.comp
    std::span<const BindingRow> bindings;  // index = binding number in the shader
    uint32_t pushConstantBytes;
    std::span<const ConstantRow> constants;  // from constant_id 2 on: 0 and 1 are the same in every kernel
    // Tiles that are tested and measured, as tileX, tileY pairs; the shader gets them as specialization constants
    // constant_id::kTileX and kTileY. Of preprocess tileX is the source kind, a module each.
    std::span<const std::array<uint8_t, 2>> tiles;
    std::span<const MethodRow> methods = {};
};

// Binding numbers are positions in KernelRow::bindings:
//   preprocess      source, output
//   conv2d          input, weights, residual or second input, output
//   pointwise       input, weights, residual, gate, output
//   depthwise       input, weights, output, sums
//   squeeze_excite  sums, reduce weights, expand weights, gate
//   pool            input, output
//   head            logits, outputs
//   export          input, output
//   attention       input, constants, output
//   separable_attention, moments, resize, max_pool: input, output
//   layer_norm      input, weights, moments, output
//   embed_tokens    input, constants, output
//   pooled_linear   input, weights, output
//   inverted_residual  input, first weights, depthwise weights, project weights, residual, output, sums
const KernelRow& row(Kernel kernel);
std::span<const KernelRow> kernelTable();
// Whether a kernel has bindings that the load path decides on. Variants of one that has none are the same for both
// paths.
bool hasLoadPath(const KernelRow& kernel);

// Specialization constants after the workgroup size (id 0) and the lanes for channel groups (id 1), by kernel.
namespace constant_id {
// All kernels with tiles
constexpr uint32_t kTileX = kMaxConstants, kTileY = kMaxConstants + 1;
// conv2d, pointwise, depthwise, pooled_linear, inverted residual
constexpr uint32_t kActivation = 2;
// pointwise
constexpr uint32_t kResidual = 3;  // 1: after the activation, 2: before it
constexpr uint32_t kGate = 4;      // 1: squeeze-excite's, 2: a LayerNorm over whole images
constexpr uint32_t kNorm = 5;      // 1: a LayerNorm over the pixel's channels
// pointwise by Method::Matrix: DeviceLimits::matrix
constexpr uint32_t kMatrixRows = 6, kMatrixColumns = 7, kMatrixInner = 8, kMatrixSubgroup = 9;
// conv2d
constexpr uint32_t kOther = 3;       // 1 and 2: a residual, as above; 3: a second input
constexpr uint32_t kWindowNorm = 8;  // 1: a LayerNorm over the window
constexpr uint32_t kColours = 9;     // 1: the input has three channels
// conv2d, depthwise, inverted residual
constexpr uint32_t kKernelH = 4, kKernelW = 5, kStrideH = 6, kStrideW = 7;
// depthwise, inverted residual
constexpr uint32_t kSqueeze = 3;  // 1: writes partial sums; the workgroup is then [channel groups, tiles]
// squeeze-excite
constexpr uint32_t kReduceActivation = 2, kGateActivation = 3;
constexpr uint32_t kMaxGroups =
    4;  // channel groups in shared memory at a time; a wider map is taken in chunks of so many
constexpr uint32_t kMaxReducedGroups = 5;  // at least those of the bottleneck
// attention
constexpr uint32_t kHeadGroups = 2, kWindows = 3;
constexpr uint32_t kPadding = 4;  // 1: windows hang over the map's end
// layer_norm
constexpr uint32_t kMoments = 2;  // 1: the statistics are given
// inverted residual
constexpr uint32_t kFirstActivation = 8;
constexpr uint32_t kFirstKernelH = 9, kFirstKernelW = 10, kFirstStrideH = 11, kFirstStrideW = 12;
constexpr uint32_t kProject = 13;  // output groups that an invocation sums up; 0: no projection
constexpr uint32_t kProjectActivation = 14, kProjectResidual = 15;
}  // namespace constant_id

// The most that kMaxGroups should be: 8 KiB of shared memory. With kMaxReducedGroups up to 256 and 256 invocations the
// kernel then stays within 16 KiB.
constexpr uint32_t kSqueezeExciteChunk = 512;

// The SPIR-V module of a variant, unpacked from what the build embedded: some tens of microseconds.
// Unsupported if it was not compiled (a bug), BadFile if the stream is damaged, OutOfHostMemory. Thread-safe.
Result<std::vector<uint32_t>> unpackSpirv(const Variant& variant);
// "tile" of Method::Registers, else "shared", "split" or "matrix": what tiles are called after.
const char* tileName(Method method);
// "image", "pixels" or "tensor": of preprocess, whose tileX is a kind of source (params.h).
const char* sourceName(uint32_t source);
// "pointwise.f32.texel.8x2", "pointwise.f32.storage.shared4x2", "head.f16.storage", "preprocess.f32.image": the
// module's name with its tile, in messages, tests and benchmarks.
std::string moduleName(const Variant& variant);

}  // namespace dunlin
