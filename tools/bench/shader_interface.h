// What a compute shader's SPIR-V asks of its pipeline's layout and of the device, and whether it is there.
#pragma once

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
    uint32_t pushConstantBytes = 0;   // up to the end of the last member; 0: none
    // Invocations of a workgroup where no specialization constant decides.
    std::optional<uint32_t> workgroupSize;
    std::vector<uint32_t> capabilities;
};

// InvalidArgument for what is no SPIR-V of one compute entry point "main".
Result<ShaderInterface> readInterface(std::span<const uint32_t> code);

// Whether the shader can run in the place of the variant's kernel on this device. InvalidArgument or Unsupported, with
// what it asks for and what there is.
Status checkInterface(const ShaderInterface& shader, const Variant& variant, const vulkan::VulkanDevice& device);

}  // namespace dunlin::bench
