// The table of kernels: one row each, which dispatching, tests and benchmarks share.
// Adding a kernel is one shader, one row here, and its list of test cases (shaders/README.md).
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "runtime/plan/program.h"

namespace dunlin {

enum class BindingKind : uint8_t {
    Activation,   // read by the variant's load path: uniform texel buffer or storage buffer, of the variant's precision
    Weights,      // the same, constants
    Texel32,      // always a uniform texel buffer of float32 vec4, whatever the load path
    TexelNative,  // always a uniform texel buffer, of the variant's precision (gates: small, so they always fit)
    Storage,      // storage buffer, read or written
    Image,        // sampled image (preprocess from a VkImage only)
};

struct BindingRow {
    const char* name;
    BindingKind kind;
    bool write;
};

struct KernelRow {
    Kernel kernel;
    const char* name;                      // also the shader's file name: shaders/<name>.comp
    std::span<const BindingRow> bindings;  // index = binding number in the shader
    uint32_t pushConstantBytes;
    std::span<const char* const> constants;  // names of specialization constants, by constant_id
    // Tiles that are compiled, as tileX, tileY pairs; the shader gets them as TILE_X and TILE_Y.
    std::span<const std::array<uint8_t, 2>> tiles;
};

const KernelRow& row(Kernel kernel);
std::span<const KernelRow> kernelTable();

// Specialization constants after the workgroup size (ids 0 and 1), by kernel.
namespace constant_id {
// conv2d, pointwise, depthwise
constexpr uint32_t kActivation = 2;
// pointwise
constexpr uint32_t kResidual = 3;  // 0 or 1; conv2d too
constexpr uint32_t kGate = 4;
// conv2d, depthwise
constexpr uint32_t kKernelH = 4, kKernelW = 5, kStrideH = 6, kStrideW = 7;
// depthwise
constexpr uint32_t kSqueeze = 3;  // 1: writes partial sums; the workgroup is then [channel groups, tiles]
// squeeze-excite
constexpr uint32_t kReduceActivation = 2, kGateActivation = 3;
constexpr uint32_t kMaxGroups = 4;         // shared memory is sized for so many channel groups
constexpr uint32_t kMaxReducedGroups = 5;
}  // namespace constant_id

// The SPIR-V module of a variant, embedded at build time; empty if it was not compiled (a bug).
std::span<const uint32_t> spirv(const Variant& variant);
// "pointwise.f32.texel.8x2": the module's name, in the embedded table, tests and benchmarks.
std::string moduleName(const Variant& variant);

}  // namespace dunlin
