// What a compute shader's SPIR-V asks of its pipeline's layout and of the device, and whether it is there.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "runtime/plan/program.h"
#include "runtime/vulkan/device.h"

namespace dunlin::bench {

struct ShaderInterface {
    struct Resource {
        uint32_t set = 0, binding = 0;
        VkDescriptorType type = VK_DESCRIPTOR_TYPE_MAX_ENUM;  // MAX_ENUM: of a kind that no kernel has
    };
    std::vector<Resource> resources;  // that are declared, used or not
    uint64_t sharedBytes = 0;         // at least: what only a computed constant sizes counts as one element
    uint32_t pushConstantBytes = 0;   // up to the end of the last member; 0: none
    struct Side {
        uint32_t invocations = 1;
        std::optional<uint32_t> constantId;  // of the specialization constant that decides instead
    };
    std::array<Side, 3> workgroup;
    std::vector<uint32_t> capabilities;
};

// `constants`: values of specialization constants, by their ids; the shader's own defaults where it ends.
// InvalidArgument for what is no SPIR-V of one compute entry point "main".
Result<ShaderInterface> readInterface(std::span<const uint32_t> code, std::span<const uint32_t> constants = {});

// Whether the shader can run in the place of the variant's kernel on this device. InvalidArgument or Unsupported, with
// what it asks for and what there is.
Status checkInterface(const ShaderInterface& shader, const Variant& variant, const vulkan::VulkanDevice& device);

}  // namespace dunlin::bench
