#include "tools/bench/shader_interface.h"

#include <algorithm>
#include <cstring>
#include <map>

#include "runtime/vulkan/pipelines.h"

namespace dunlin::bench {
namespace {

// Of the SPIR-V specification, by its names.
namespace spv {
constexpr uint32_t kMagic = 0x07230203;
enum Op : uint32_t {
    EntryPoint = 15,
    ExecutionMode = 16,
    Capability = 17,
    TypeInt = 21,
    TypeFloat = 22,
    TypeVector = 23,
    TypeMatrix = 24,
    TypeImage = 25,
    TypeSampledImage = 27,
    TypeArray = 28,
    TypeRuntimeArray = 29,
    TypeStruct = 30,
    TypePointer = 32,
    Constant = 43,
    ConstantComposite = 44,
    SpecConstant = 50,
    SpecConstantComposite = 51,
    Variable = 59,
    Decorate = 71,
    MemberDecorate = 72,
};
enum Decoration : uint32_t {
    BufferBlock = 3,
    ArrayStride = 6,
    SpecId = 1,
    BuiltIn = 11,
    Binding = 33,
    DescriptorSet = 34,
    Offset = 35
};
enum StorageClass : uint32_t { UniformConstant = 0, Uniform = 2, Workgroup = 4, PushConstant = 9, StorageBuffer = 12 };
constexpr uint32_t kGlCompute = 5, kLocalSize = 17, kWorkgroupSize = 25;
constexpr uint32_t kDim2D = 1, kDimBuffer = 5, kSampled = 1;
}  // namespace spv

using Words = std::span<const uint32_t>;  // of one instruction, the first with its length and number

class Module {
  public:
    Result<ShaderInterface> read(Words code, std::span<const uint32_t> constants);

  private:
    Status take(Words words);
    void takeType(Words words) { types_[words[1]].assign(words.begin(), words.end()); }
    void takeDecoration(Words words);
    void takeWorkgroup();
    uint32_t sizeOf(uint32_t type) const;
    uint64_t sharedSizeOf(uint32_t type) const;
    uint32_t pointee(uint32_t pointer) const { return word(pointer, 3); }
    // A word of the type's instruction; 0 where there is none.
    uint32_t word(uint32_t type, size_t index) const {
        const auto found = types_.find(type);
        return found != types_.end() && index < found->second.size() ? found->second[index] : 0;
    }
    uint32_t opOf(uint32_t type) const { return word(type, 0) & 0xffff; }
    uint32_t decoration(uint32_t target, uint32_t kind) const {
        const auto found = decorations_.find({target, kind});
        return found != decorations_.end() ? found->second : 0;
    }
    VkDescriptorType descriptorOf(uint32_t storageClass, uint32_t type) const;

    struct Variable {
        uint32_t pointer, id, storageClass;
    };
    ShaderInterface result_;
    uint32_t computeEntries_ = 0;
    uint32_t workgroupConstant_ = 0;                          // which overrides the execution mode; 0: none
    std::map<uint32_t, std::array<uint32_t, 3>> composites_;  // constants of three
    std::vector<Variable> variables_;
    std::map<uint32_t, std::vector<uint32_t>> types_;
    std::map<uint32_t, uint32_t> constants_;
    std::map<std::pair<uint32_t, uint32_t>, uint32_t> decorations_;  // by target and kind: the operand
    std::map<std::pair<uint32_t, uint32_t>, uint32_t> offsets_;      // by struct and member
};

Status Module::take(Words words) {
    const uint32_t op = words[0] & 0xffff;
    switch (op) {
        case spv::Capability:
            if (words.size() > 1) result_.capabilities.push_back(words[1]);
            break;
        case spv::EntryPoint: {
            if (words.size() < 4 || words[1] != spv::kGlCompute) break;
            const char* name = reinterpret_cast<const char*>(&words[3]);
            const size_t room = (words.size() - 3) * sizeof(uint32_t);
            if (std::string(name, strnlen(name, room)) == "main") ++computeEntries_;
            break;
        }
        case spv::ExecutionMode:
            if (words.size() < 6 || words[2] != spv::kLocalSize) break;
            for (size_t i = 0; i < 3; ++i) result_.workgroup[i].invocations = words[3 + i];
            break;
        case spv::Decorate:
        case spv::MemberDecorate:
            takeDecoration(words);
            break;
        case spv::Variable:
            if (words.size() >= 4) variables_.push_back({words[1], words[2], words[3]});
            break;
        case spv::Constant:
        case spv::SpecConstant:
            if (words.size() >= 4) constants_[words[2]] = words[3];
            break;
        case spv::ConstantComposite:
        case spv::SpecConstantComposite:
            if (words.size() == 6) composites_[words[2]] = {words[3], words[4], words[5]};
            break;
        default:
            if (op >= spv::TypeInt && op <= spv::TypePointer && words.size() >= 2) takeType(words);
    }
    return Status();
}

void Module::takeDecoration(Words words) {
    if ((words[0] & 0xffff) == spv::MemberDecorate) {
        if (words.size() >= 5 && words[3] == spv::Offset) offsets_[{words[1], words[2]}] = words[4];
        return;
    }
    if (words.size() < 3) return;
    const uint32_t operand = words.size() >= 4 ? words[3] : 1;
    decorations_[{words[1], words[2]}] = operand;
    if (words[2] == spv::BuiltIn && operand == spv::kWorkgroupSize) workgroupConstant_ = words[1];
}

void Module::takeWorkgroup() {
    const auto sides = composites_.find(workgroupConstant_);
    if (sides == composites_.end()) return;
    for (size_t i = 0; i < 3; ++i) {
        const uint32_t constant = sides->second[i];
        result_.workgroup[i].invocations = constants_[constant];
        const auto id = decorations_.find({constant, spv::SpecId});
        if (id != decorations_.end()) result_.workgroup[i].constantId = id->second;
    }
}

// In a block; 0 for what has no size there.
uint32_t Module::sizeOf(uint32_t type) const {
    switch (opOf(type)) {
        case spv::TypeInt:
        case spv::TypeFloat:
            return word(type, 2) / 8;
        case spv::TypeVector:
            return word(type, 3) * sizeOf(word(type, 2));
        case spv::TypeMatrix:  // columns are padded to four
            return word(type, 3) * 4 * sizeOf(word(word(type, 2), 2));
        case spv::TypeArray: {
            const auto length = constants_.find(word(type, 3));
            const uint32_t stride = std::max(decoration(type, spv::ArrayStride), sizeOf(word(type, 2)));
            return length == constants_.end() ? stride : length->second * stride;
        }
        case spv::TypeStruct: {
            uint32_t end = 0;
            for (uint32_t member = 0; member + 2 < types_.at(type).size(); ++member) {
                const auto offset = offsets_.find({type, member});
                if (offset != offsets_.end()) end = std::max(end, offset->second + sizeOf(word(type, member + 2)));
            }
            return end;
        }
        default:
            return 0;
    }
}

// In shared memory, where members have no offsets; padding is the driver's.
uint64_t Module::sharedSizeOf(uint32_t type) const {
    switch (opOf(type)) {
        case spv::TypeMatrix:
            return uint64_t{word(type, 3)} * sharedSizeOf(word(type, 2));
        case spv::TypeArray: {
            const auto length = constants_.find(word(type, 3));
            return (length == constants_.end() ? 1 : length->second) * sharedSizeOf(word(type, 2));
        }
        case spv::TypeStruct: {
            uint64_t sum = 0;
            for (size_t member = 2; member < types_.at(type).size(); ++member) sum += sharedSizeOf(word(type, member));
            return sum;
        }
        default:
            return sizeOf(type);
    }
}

VkDescriptorType Module::descriptorOf(uint32_t storageClass, uint32_t type) const {
    if (storageClass == spv::StorageBuffer) return VK_DESCRIPTOR_TYPE_STORAGE_BUFFER;
    if (storageClass == spv::Uniform) {
        return decoration(type, spv::BufferBlock) ? VK_DESCRIPTOR_TYPE_STORAGE_BUFFER
                                                  : VK_DESCRIPTOR_TYPE_UNIFORM_BUFFER;
    }
    // The front end wraps the image of a samplerBuffer, and of no textureBuffer.
    const uint32_t image = opOf(type) == spv::TypeSampledImage ? word(type, 2) : type;
    if (opOf(image) != spv::TypeImage || word(image, 7) != spv::kSampled) return VK_DESCRIPTOR_TYPE_MAX_ENUM;
    if (word(image, 3) == spv::kDimBuffer) return VK_DESCRIPTOR_TYPE_UNIFORM_TEXEL_BUFFER;
    const bool isPlain = word(image, 3) == spv::kDim2D && image == type;
    return isPlain ? VK_DESCRIPTOR_TYPE_SAMPLED_IMAGE : VK_DESCRIPTOR_TYPE_MAX_ENUM;
}

Result<ShaderInterface> Module::read(Words code, std::span<const uint32_t> constants) {
    constexpr size_t kHeaderWords = 5;
    if (code.size() < kHeaderWords || code[0] != spv::kMagic) {
        return error(StatusCode::InvalidArgument, "%zu words that are no SPIR-V", code.size());
    }
    for (size_t at = kHeaderWords; at < code.size();) {
        const size_t length = code[at] >> 16;
        if (length == 0 || length > code.size() - at) {
            return error(StatusCode::InvalidArgument, "the SPIR-V is cut at word %zu of %zu", at, code.size());
        }
        DUNLIN_TRY(take(code.subspan(at, length)));
        at += length;
    }
    if (computeEntries_ != 1) {
        return error(StatusCode::InvalidArgument, "the shader has %u compute entry points called main instead of 1",
                     computeEntries_);
    }
    for (auto& [id, value] : constants_) {
        const auto specialization = decorations_.find({id, spv::SpecId});
        const bool isGiven = specialization != decorations_.end() && specialization->second < constants.size();
        if (isGiven) value = constants[specialization->second];
    }
    for (const Variable& variable : variables_) {
        const uint32_t type = pointee(variable.pointer);
        if (variable.storageClass == spv::Workgroup) result_.sharedBytes += sharedSizeOf(type);
        if (variable.storageClass == spv::PushConstant) {
            result_.pushConstantBytes = std::max(result_.pushConstantBytes, sizeOf(type));
        }
        const bool isResource = variable.storageClass == spv::UniformConstant ||
                                variable.storageClass == spv::Uniform || variable.storageClass == spv::StorageBuffer;
        if (!isResource) continue;
        result_.resources.push_back({decoration(variable.id, spv::DescriptorSet), decoration(variable.id, spv::Binding),
                                     descriptorOf(variable.storageClass, type)});
    }
    takeWorkgroup();
    return std::move(result_);
}

const char* nameOf(VkDescriptorType type) {
    switch (type) {
        case VK_DESCRIPTOR_TYPE_STORAGE_BUFFER:
            return "a storage buffer";
        case VK_DESCRIPTOR_TYPE_UNIFORM_TEXEL_BUFFER:
            return "a uniform texel buffer";
        case VK_DESCRIPTOR_TYPE_SAMPLED_IMAGE:
            return "a sampled image";
        case VK_DESCRIPTOR_TYPE_UNIFORM_BUFFER:
            return "a uniform buffer";
        default:
            return "another kind of resource";
    }
}

struct Capability {
    uint32_t number;
    const char* name;
    bool isThere;
};

// Those that shaders may declare. Subgroup operations of Vulkan 1.1 are taken for granted, as GPUs have them.
Status checkCapabilities(const ShaderInterface& shader, const vulkan::VulkanDevice& device) {
    const vulkan::Features& enabled = device.enabled();
    const vulkan::Instruments& instruments = device.instruments();
    const bool matrix = enabled.cooperativeMatrix, dot = instruments.integerDotProduct;
    const Capability known[] = {{0, "Matrix", true},
                                {1, "Shader", true},
                                {9, "Float16", enabled.shaderFloat16},
                                {10, "Float64", false},
                                {11, "Int64", false},
                                {22, "Int16", false},
                                {39, "Int8", false},
                                {46, "SampledBuffer", true},
                                {50, "ImageQuery", true},
                                {61, "GroupNonUniform", true},
                                {62, "GroupNonUniformVote", true},
                                {63, "GroupNonUniformArithmetic", true},
                                {64, "GroupNonUniformBallot", true},
                                {65, "GroupNonUniformShuffle", true},
                                {66, "GroupNonUniformShuffleRelative", true},
                                {67, "GroupNonUniformClustered", true},
                                {68, "GroupNonUniformQuad", true},
                                {4433, "StorageBuffer16BitAccess", enabled.storageBuffer16},
                                {5345, "VulkanMemoryModel", matrix},
                                {6016, "DotProductInputAll", dot},
                                {6018, "DotProductInput4x8BitPacked", dot},
                                {6019, "DotProduct", dot},
                                {6022, "CooperativeMatrixKHR", matrix}};
    for (const uint32_t number : shader.capabilities) {
        const auto* found = std::ranges::find(known, number, &Capability::number);
        if (found != std::end(known) && found->isThere) continue;
        return error(StatusCode::Unsupported,
                     "the shader needs the SPIR-V capability %u%s%s, which is not enabled on %s", number,
                     found != std::end(known) ? " " : "", found != std::end(known) ? found->name : "",
                     device.capabilities().name.c_str());
    }
    return Status();
}

Status checkResource(const ShaderInterface::Resource& resource, const Variant& variant) {
    const KernelRow& kernel = row(variant.kernel);
    if (resource.set != 0) {
        return error(StatusCode::InvalidArgument, "the shader has a resource in set %u, and %s has only set 0",
                     resource.set, kernel.name);
    }
    if (resource.binding >= kernel.bindings.size()) {
        return error(StatusCode::InvalidArgument, "the shader has a binding %u, and those of %s are 0 to %zu",
                     resource.binding, kernel.name, kernel.bindings.size() - 1);
    }
    const BindingRow& binding = kernel.bindings[resource.binding];
    const VkDescriptorType expected = vulkan::descriptorType(binding, variant);
    if (resource.type == expected) return Status();
    return error(StatusCode::InvalidArgument, "binding %u of the shader is %s, and that of %s (%s) is %s",
                 resource.binding, nameOf(resource.type), moduleName(variant).c_str(), binding.name, nameOf(expected));
}

}  // namespace

Result<ShaderInterface> readInterface(std::span<const uint32_t> code, std::span<const uint32_t> constants) {
    return Module().read(code, constants);
}

Status checkInterface(const ShaderInterface& shader, const Variant& variant, const vulkan::VulkanDevice& device) {
    const KernelRow& kernel = row(variant.kernel);
    DUNLIN_TRY(checkCapabilities(shader, device));
    for (const ShaderInterface::Resource& resource : shader.resources) DUNLIN_TRY(checkResource(resource, variant));
    if (shader.pushConstantBytes > kernel.pushConstantBytes) {
        return error(StatusCode::InvalidArgument, "the shader reads %u bytes of push constants, and %s has %u",
                     shader.pushConstantBytes, kernel.name, kernel.pushConstantBytes);
    }
    if (shader.sharedBytes > device.limits().sharedMemoryBytes) {
        return error(StatusCode::Unsupported, "the shader has %llu bytes of shared memory, and %s has %u",
                     static_cast<unsigned long long>(shader.sharedBytes), device.capabilities().name.c_str(),
                     device.limits().sharedMemoryBytes);
    }
    const uint32_t dispatched = variant.constants[0];
    uint64_t invocations = 1;
    for (const ShaderInterface::Side& side : shader.workgroup) {
        const bool isGiven = side.constantId && *side.constantId < kMaxConstants;
        invocations *= isGiven ? variant.constants[*side.constantId] : side.invocations;
    }
    if (invocations != dispatched) {
        return error(
            StatusCode::InvalidArgument,
            "the shader's workgroups have %llu invocations, and %u are dispatched: local_size_x_id = 0 takes any",
            static_cast<unsigned long long>(invocations), dispatched);
    }
    return Status();
}

}  // namespace dunlin::bench
