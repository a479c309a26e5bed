#include "runtime/weights/safetensors.h"

#include "runtime/weights/name_scheme.h"
#include "tests/fuzz/fuzz_target.h"
#include "tests/weights_files.h"

namespace dunlin::fuzz {
namespace {

bool parse(std::vector<std::byte> bytes) {
    const auto weights = openSafetensors(inMemory("fuzz", std::move(bytes)));
    if (!weights.ok()) {
        require(!weights.status().message().empty(), "every refusal has a reason");
        return false;
    }
    readEverything(**weights);
    if (const auto canonical = withCanonicalNames(*weights); canonical.ok()) readEverything(**canonical);
    return true;
}

}  // namespace

bool accepts(const std::string& input) {
    return parse(test::toBytes(input));
}

std::vector<std::string> corpus() {
    return {
        test::safetensorsFile(R"({"a":{"dtype":"F32","shape":[2,1],"data_offsets":[0,8]}})", std::string(8, 'x')),
        test::safetensorsFile(
            R"({"__metadata__":{"format":"pt"},"module.b":{"dtype":"F16","shape":[3],"data_offsets":[8,14]},)"
            R"("module.c":{"dtype":"I64","shape":[],"data_offsets":[0,8]}}  )",
            std::string(14, 'y')),
        test::safetensorsFile(
            R"({"features.1.conv.0.0.weight":{"dtype":"BF16","shape":[1,1,1,1],"data_offsets":[0,2]},)"
            R"("classifier.1.weight":{"dtype":"F64","shape":[0,9],"data_offsets":[2,2]}})",
            "zz"),
        test::safetensorsFile(  // one canonical tensor in three pieces
            R"({"mobilevit.encoder.layer.2.transformer.layer.0.attention.attention.query.weight":)"
            R"({"dtype":"F16","shape":[1,2],"data_offsets":[0,4]},)"
            R"("mobilevit.encoder.layer.2.transformer.layer.0.attention.attention.key.weight":)"
            R"({"dtype":"F16","shape":[1,2],"data_offsets":[4,8]},)"
            R"("mobilevit.encoder.layer.2.transformer.layer.0.attention.attention.value.weight":)"
            R"({"dtype":"F16","shape":[1,2],"data_offsets":[8,12]}})",
            std::string(12, 'v')),
    };
}

}  // namespace dunlin::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t sizeBytes) {
    dunlin::fuzz::parse(dunlin::fuzz::toBytes(data, sizeBytes));
    return 0;
}
