// Networks of every family, small, as tests take kernel cases from them.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "models/registry.h"
#include "runtime/tuning/kernel_case.h"
#include "runtime/weights/synthetic.h"

namespace dunlin::test {

// Of a software driver, without float16.
inline DeviceLimits cpuDriverLimits() {
    DeviceLimits limits;
    limits.family = DeviceFamily::CpuDriver;
    limits.maxTexelBufferElements = 1u << 27;
    limits.maxStorageBufferRange = 1u << 30;
    limits.maxWorkgroupInvocations = limits.maxWorkgroupSize[0] = 256;
    limits.sharedMemoryBytes = 32768;
    return limits;
}

struct NetworkRequest {
    const char* name;
    int side = 64;
    FusionLevel fusion = FusionLevel::Default;
    Precision precision = Precision::Fp32;
    std::vector<std::string> taps = {};
    int batch = 1;
};

// Null, and a failure of the test, where the device cannot run the network.
inline std::shared_ptr<const tuning::SourceNetwork> lowered(const NetworkRequest& request, const DeviceLimits& limits) {
    const Result<Architecture> architecture = findArchitecture(request.name);
    if (!architecture.ok()) {
        ADD_FAILURE() << architecture.status().message();
        return nullptr;
    }
    Graph graph = architecture->build({}, {request.batch, request.side, request.side, 3});
    SessionOptions options;
    options.batch = request.batch;
    options.precision = request.precision;
    options.fusion = request.fusion;
    options.taps = request.taps;
    Result<LoweredNetwork> network = lowerNetwork(graph, options, limits);
    if (!network.ok()) {
        ADD_FAILURE() << request.name << ": " << network.status().message();
        return nullptr;
    }
    return std::make_shared<const tuning::SourceNetwork>(tuning::SourceNetwork{
        request.name, std::move(graph), *std::move(network), architecture->preprocess, formulaWeights()});
}

// One of each family, with a tap, and with everything fused that can be: every kernel is in one of them.
inline std::vector<NetworkRequest> familyRequests(Precision precision) {
    constexpr FusionLevel kDefault = FusionLevel::Default, kMax = FusionLevel::Max;
    return {
        {"mobilenetv1_100", 64, kDefault, precision, {"blocks.2"}},
        {"mobilenetv2_100", 64, kMax, precision},
        {"mobilenetv3_small_100", 64, kDefault, precision},
        {"mobilenetv3_small_100", 64, kMax, precision},
        {"mobilevit_xxs", 96, kDefault, precision},
        {"mobilevitv2_050", 64, kDefault, precision},
        {"efficientnet_b0", 64, kDefault, precision},
        {"tf_efficientnetv2_b0", 64, kMax, precision},
        {"convnext_atto", 64, kDefault, precision},
        {"vit_tiny_patch16_224", 64, kDefault, precision},
        {"swin_tiny_patch4_window7_224", 96, kDefault, precision},
        {"resnet18", 64, kDefault, precision},
        {"mobilenetv2_035", 64, kDefault, precision, {}, 2},
    };
}

}  // namespace dunlin::test
