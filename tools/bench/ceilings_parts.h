// The two halves of measureCeilings(). Private to it.
#pragma once

#include <array>
#include <span>

#include "tools/bench/ceilings.h"

namespace dunlin::bench {

// After DeviceLost the device and all that it worked with stay alive until the process ends.
Result<Ceilings> measureVulkanCeilings(std::shared_ptr<const vulkan::VulkanDevice> device);
// OutOfHostMemory where there are no threads to be had.
Result<Ceilings> measureCpuCeilings(uint32_t threads);

// A shader of arithmetic: push constants are the rounds and two numbers, binding 0 gets a word of each invocation.
struct ArithmeticProgram {
    std::span<const uint32_t> code;
    std::array<uint32_t, 2> numbers;  // to begin with
    double operations = 0;            // of an invocation in a round
};
ArithmeticProgram fmaProgram(bool fp16);
ArithmeticProgram int8Program(bool dot);

// The shader of cooperative matrices, with the products that a subgroup makes in a round.
struct MatrixProgram {
    std::span<const uint32_t> code;
    double products = 0;
};
MatrixProgram matrixProgram();

// 16 KiB and its doublings up to `mostBytes`.
std::vector<uint64_t> workingSets(uint64_t mostBytes);

}  // namespace dunlin::bench
