#include "models/hub_config.h"
#include "models/preprocessor_config.h"
#include "tests/fuzz/fuzz_target.h"

namespace dunlin::fuzz {
namespace {

void checkRanges(const HubConfig& config) {
    require(!config.classes || (*config.classes >= 1 && *config.classes <= kMaxClasses), "classes are in range");
    PreprocessSpec spec;
    config.preprocess.applyTo(spec);
    for (const float deviation : spec.deviation) require(deviation > 0, "deviations are positive");
    require(spec.inputHeight >= kMinInputSide && spec.inputHeight <= kMaxInputSide, "heights are in range");
    require(spec.inputWidth >= kMinInputSide && spec.inputWidth <= kMaxInputSide, "widths are in range");
    require(spec.cropFraction > 0 && spec.cropFraction <= 1, "crops are in range");
    ArchitectureOptions options;
    config.modelArguments.applyTo(options);
    options.classes = 10;  // a million of them would be slow and say nothing new
    architectures()[0].build(options, {1, spec.inputHeight, spec.inputWidth, 3});
}

void checkRanges(const PreprocessorConfig& config) {
    PreprocessSpec spec;
    if (!config.applyTo(spec).ok()) return;
    for (const float deviation : spec.deviation) require(deviation > 0, "deviations are positive");
    require(spec.inputHeight >= kMinInputSide && spec.inputHeight <= kMaxInputSide, "sides are in range");
    require(spec.cropFraction > 0 && spec.cropFraction <= 1, "crops are in range");
}

bool parse(std::string_view json) {
    const auto preprocessor = parsePreprocessorConfig(json);
    require(preprocessor.ok() || !preprocessor.status().message().empty(), "every refusal has a reason");
    if (preprocessor.ok()) checkRanges(*preprocessor);
    const auto arguments = parseModelArguments(json);
    require(arguments.ok() || !arguments.status().message().empty(), "every refusal has a reason");
    const auto config = parseHubConfig(json);
    require(config.ok() || !config.status().message().empty(), "every refusal has a reason");
    if (config.ok()) checkRanges(*config);
    return config.ok();
}

}  // namespace

bool accepts(const std::string& input) {
    return parse(input);
}

std::vector<std::string> corpus() {
    return {
        R"({"architecture":"mobilenetv1_100","num_classes":1001,"model_args":{"pad_type":"same","bn_eps":0.001},)"
        R"("pretrained_cfg":{"input_size":[3,224,224],"interpolation":"bilinear","crop_pct":0.875,)"
        R"("crop_mode":"center",)"
        R"("mean":[0.5,0.5,0.5],"std":[0.5,0.5,0.5],"num_classes":1001,"label_offset":1}})",
        R"({"label_names":["n1","n2"],"label_descriptions":{"n1":"duck"},"mean":[0,0,0],)"
        R"("model_args":{"channel_multiplier":2}})",
        R"({"size":{"shortest_edge":288},"crop_size":{"height":256,"width":256},"resample":2,"do_resize":true,)"
        R"("do_flip_channel_order":true,"image_mean":[0.5,0.5,0.5],"image_std":[0.5,0.5,0.5],)"
        R"("rescale_factor":0.00392})",
        R"({"num_classes":2,"id2label":{"0":"a","1":"b"},"global_pool":"avg"})",
    };
}

}  // namespace dunlin::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t sizeBytes) {
    dunlin::fuzz::parse({reinterpret_cast<const char*>(data), sizeBytes});
    return 0;
}
