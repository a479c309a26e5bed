#include "runtime/weights/safetensors.h"

#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <limits>

#include "runtime/weights/tensor_data.h"
#include "tests/support.h"
#include "tests/weights_files.h"

namespace dunlin {
namespace {

using namespace std::string_literals;
using test::packed;
using test::safetensorsFile;

Result<std::shared_ptr<const WeightsSource>> open(std::string_view content) {
    return openSafetensors(inMemory("x.safetensors", test::toBytes(content)));
}

std::vector<float> readAll(const WeightsSource& weights, const std::string& name, const std::vector<int64_t>& shape) {
    std::vector<float> values(static_cast<size_t>(*elementCount(shape)));
    const Status status = weights.read(name, shape, values);
    EXPECT_TRUE(status.ok()) << status.message();
    return values;
}

TEST(Safetensors, ReadsEveryFloatingPointType) {
    const auto weights = open(safetensorsFile(
        R"({"__metadata__":{"format":"pt"},
            "single":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},
            "half":{"dtype":"F16","shape":[1,3],"data_offsets":[8,14]},
            "brain":{"dtype":"BF16","shape":[2],"data_offsets":[14,18]},
            "double":{"dtype":"F64","shape":[1],"data_offsets":[18,26]}})",
        packed<float>({1.5f, -0.0f}) + packed<uint16_t>({0x3c00, 0xc001, 0x0001}) + packed<uint16_t>({0x3f80, 0xc040}) +
            packed<double>({0.1})));
    ASSERT_TRUE(weights.ok()) << weights.status().message();
    EXPECT_EQ(readAll(**weights, "single", {2}), (std::vector<float>{1.5f, -0.0f}));
    EXPECT_EQ(readAll(**weights, "half", {1, 3}), (std::vector<float>{1.0f, -2.001953125f, 0x1p-24f}));
    EXPECT_EQ(readAll(**weights, "brain", {2}), (std::vector<float>{1.0f, -3.0f}));
    EXPECT_EQ(readAll(**weights, "double", {1}), (std::vector<float>{0.1f}));  // at an odd address, too
}

TEST(Safetensors, ListsTensorsInTheOrderOfTheHeader) {
    const auto weights = open(safetensorsFile(R"({"z":{"dtype":"F16","shape":[],"data_offsets":[2,4]},
                                                  "a":{"dtype":"F16","shape":[1],"data_offsets":[0,2]},
                                                  "none":{"dtype":"F16","shape":[0,7],"data_offsets":[4,4]}}   )",
                                              "\0\0\0\0"s));
    ASSERT_TRUE(weights.ok()) << weights.status().message();
    ASSERT_EQ((*weights)->tensors().size(), 3u);
    EXPECT_EQ((*weights)->tensors()[0].name, "z");
    EXPECT_EQ((*weights)->tensors()[1].name, "a");
    EXPECT_EQ((*weights)->tensors()[2].shape, (std::vector<int64_t>{0, 7}));
    EXPECT_EQ(readAll(**weights, "none", {0, 7}), std::vector<float>{});
}

TEST(Safetensors, RefusesToReadWhatIsNotThere) {
    const auto weights = open(safetensorsFile(R"({"a":{"dtype":"F32","shape":[1,2],"data_offsets":[0,8]},
                                                  "n":{"dtype":"I64","shape":[],"data_offsets":[8,16]}})",
                                              std::string(16, '\0')));
    ASSERT_TRUE(weights.ok()) << weights.status().message();
    std::vector<float> two(2), one(1);
    EXPECT_EQ((*weights)->read("b", std::vector<int64_t>{2}, two).message(), "x.safetensors: has no tensor b");
    EXPECT_EQ((*weights)->read("a", std::vector<int64_t>{2}, two).message(),
              "x.safetensors: a has shape [1, 2], but [2] is needed");
    EXPECT_EQ((*weights)->read("a", std::vector<int64_t>{1, 2}, one).code(), StatusCode::InvalidArgument);
    EXPECT_EQ((*weights)->read("n", {}, one).message(),
              "x.safetensors: n: holds I64, where floating-point numbers are needed");
}

struct Hostile {
    const char* what;
    std::string content;
    std::string reason;  // part of the message
};

std::string oneTensor(const std::string& entry, size_t dataBytes = 8) {
    return safetensorsFile("{\"a\":" + entry + "}", std::string(dataBytes, '\0'));
}

std::vector<Hostile> hostileFiles() {
    const std::string good = R"({"dtype":"F32","shape":[2],"data_offsets":[0,8]})";
    return {
        {"empty", "", "the file is empty"},
        {"too short", "\x02\0\0"s, "3 bytes are too few"},
        {"huge header", "\xff\xff\xff\xff\xff\xff\xff\xff{}"s,
         "claims 18446744073709551615 bytes, the limit is 100000000"},
        {"header past the end", "\x03\0\0\0\0\0\0\0{}"s, "claims 3 bytes, but only 2 follow"},
        {"no header", std::string(8, '\0'), "not JSON at byte"},
        {"not JSON", safetensorsFile("this is not json"), "not JSON at byte"},
        {"text after the object", safetensorsFile("{}{}"), "not JSON at byte"},
        {"no tensors", safetensorsFile("{}"), "no tensors"},
        {"array", safetensorsFile("[]"), "no JSON object but an array"},
        {"number", safetensorsFile("1"), "no JSON object but a number"},
        {"unclosed", safetensorsFile("{\"a\":" + good), "not JSON at byte"},
        {"bad UTF-8", oneTensor("{\"\xff\":1}"), "not JSON"},
        {"deep nesting", safetensorsFile(std::string(1000000, '[')), "no JSON object but an array"},
        {"deep objects", oneTensor(R"({"shape":{"a":{"a":1}}})"), "shape of a is an object"},
        {"deep shape", oneTensor(R"({"dtype":"F32","shape":[[2]],"data_offsets":[0,8]})"), "holds an array"},
        {"entry is a string", oneTensor("\"x\""), "a is a string"},
        {"entry is null", oneTensor("null"), "a is null"},
        {"metadata is a number", safetensorsFile(R"({"__metadata__":1})"), "__metadata__ is a number"},
        {"metadata is nested", safetensorsFile(R"({"__metadata__":{"a":{}}})"), "strings only"},
        {"metadata twice", safetensorsFile(R"({"__metadata__":{},"__metadata__":{}})"), "__metadata__ twice"},
        {"duplicate name", safetensorsFile("{\"a\":" + good + ",\"a\":" + good + "}", std::string(16, '\0')),
         "has a twice"},
        {"empty name", safetensorsFile("{\"\":" + good + "}", std::string(8, '\0')), "is empty, longer than"},
        {"NUL in name", safetensorsFile("{\"a\\u0000b\":" + good + "}", std::string(8, '\0')), "\"a?b\""},
        {"long name", safetensorsFile("{\"" + std::string(513, 'n') + "\":" + good + "}", std::string(8, '\0')),
         "512 bytes"},
        {"no dtype", oneTensor(R"({"shape":[2],"data_offsets":[0,8]})"), "a has no dtype"},
        {"no shape", oneTensor(R"({"dtype":"F32","data_offsets":[0,8]})"), "a has no shape"},
        {"no offsets", oneTensor(R"({"dtype":"F32","shape":[2]})"), "a has no data_offsets"},
        {"unknown field", oneTensor(R"({"dtype":"F32","shape":[2],"data_offsets":[0,8],"x":1})"), "unknown field x"},
        {"field twice", oneTensor(R"({"dtype":"F32","dtype":"F32","shape":[2],"data_offsets":[0,8]})"), "dtype twice"},
        {"wrong dtype", oneTensor(R"({"dtype":"U8","shape":[8],"data_offsets":[0,8]})"), "a has dtype U8"},
        {"dtype number", oneTensor(R"({"dtype":4,"shape":[2],"data_offsets":[0,8]})"), "dtype of a is a number"},
        {"negative dimension", oneTensor(R"({"dtype":"F32","shape":[-2],"data_offsets":[0,8]})"), "negative number -2"},
        {"fraction", oneTensor(R"({"dtype":"F32","shape":[2.0],"data_offsets":[0,8]})"), "the number 2.0"},
        {"dimension past 2^63", oneTensor(R"({"dtype":"F32","shape":[9223372036854775808],"data_offsets":[0,8]})"),
         "the number 9223372036854775808"},
        {"dimension past 2^64", oneTensor(R"({"dtype":"F32","shape":[99999999999999999999],"data_offsets":[0,8]})"),
         "the number 99999999999999999999"},
        {"product overflows to 2",
         oneTensor(R"({"dtype":"F32","shape":[4611686018427387905,2,1,1],"data_offsets":[0,8]})"),
         "but its data has 8"},
        {"bytes overflow to 8", oneTensor(R"({"dtype":"F32","shape":[4611686018427387906],"data_offsets":[0,8]})"),
         "but its data has 8"},
        {"nine dimensions", oneTensor(R"({"dtype":"F32","shape":[2,1,1,1,1,1,1,1,1],"data_offsets":[0,8]})"),
         "more than 8"},
        {"one offset", oneTensor(R"({"dtype":"F32","shape":[2],"data_offsets":[8]})"), "not two numbers"},
        {"three offsets", oneTensor(R"({"dtype":"F32","shape":[2],"data_offsets":[0,4,8]})"), "more than two"},
        {"negative offset", oneTensor(R"({"dtype":"F32","shape":[2],"data_offsets":[-8,0]})"), "negative number -8"},
        {"backwards", oneTensor(R"({"dtype":"F32","shape":[2],"data_offsets":[8,0]})"), "bytes 8 to 0"},
        {"past the end", oneTensor(R"({"dtype":"F32","shape":[2],"data_offsets":[0,8]})", 7), "which has 7 bytes"},
        {"far past the end", oneTensor(R"({"dtype":"F32","shape":[2],"data_offsets":[18446744073709551608,0]})"),
         "bytes 18446744073709551608 to 0"},
        {"size differs", oneTensor(R"({"dtype":"F32","shape":[3],"data_offsets":[0,8]})"),
         "F32 [3], but its data has 8"},
        {"bytes left over", oneTensor(good, 9), "1 bytes after the last tensor"},
        {"hole", oneTensor(R"({"dtype":"F32","shape":[1],"data_offsets":[4,8]})"), "a hole"},
        {"overlap",
         safetensorsFile(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},
                             "b":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}})",
                         std::string(12, '\0')),
         "a shared piece"},
    };
}

TEST(Safetensors, RefusesHostileFilesWithTheReason) {
    for (const Hostile& hostile : hostileFiles()) {
        const auto weights = open(hostile.content);
        ASSERT_FALSE(weights.ok()) << hostile.what;
        EXPECT_EQ(weights.status().code(), StatusCode::BadFile) << hostile.what;
        const std::string& message = weights.status().message();
        EXPECT_TRUE(message.starts_with("x.safetensors: ")) << hostile.what << ": " << message;
        EXPECT_NE(message.find(hostile.reason), std::string::npos) << hostile.what << ": " << message;
    }
}

TEST(Safetensors, RefusesAFileCutAnywhere) {
    const std::string whole = safetensorsFile(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},
                                                  "b":{"dtype":"F16","shape":[2],"data_offsets":[4,8]}})",
                                              packed<float>({1, 2}));
    ASSERT_TRUE(open(whole).ok());
    for (size_t length = 0; length < whole.size(); ++length) {
        const auto cut = open(whole.substr(0, length));
        EXPECT_FALSE(cut.ok()) << length << " of " << whole.size() << " bytes";
    }
}

TEST(Safetensors, HalfMatchesItsDefinitionForEveryNumber) {
    for (uint32_t bits = 0; bits < 0x10000; ++bits) {
        const int exponent = static_cast<int>((bits >> 10) & 31);
        const double mantissa = bits & 1023;
        const double magnitude = exponent == 0    ? std::ldexp(mantissa, -24)
                                 : exponent == 31 ? std::numeric_limits<double>::infinity()
                                                  : std::ldexp(1024 + mantissa, exponent - 25);
        const float value = halfToFloat(static_cast<uint16_t>(bits));
        ASSERT_EQ(std::signbit(value), bits >> 15 != 0) << bits;
        if (exponent == 31 && mantissa != 0) {
            ASSERT_TRUE(std::isnan(value)) << bits;
        } else {
            ASSERT_EQ(std::fabs(value), magnitude) << bits;
        }
    }
}

TEST(MappedFile, SaysWhyItCannotBeOpened) {
    EXPECT_EQ(openFile("no/such/file").status().message(), "no/such/file: No such file or directory");
    EXPECT_EQ(openFile("/").status().message(), "/: not a regular file");
    const auto empty = std::filesystem::path(testing::TempDir()) / "empty_file";
    std::ofstream(empty).close();
    const auto file = openFile(empty);
    ASSERT_TRUE(file.ok());
    EXPECT_TRUE(file->bytes.empty());
}

TEST(Safetensors, OpensThePublishedFolders) {
    DUNLIN_NEEDS_SHARED("weights");
    for (const char* folder : {"mobilenetv1_100.tf", "mobilenetv2_100.tf", "tf_mobilenetv3_large_minimal_100.tf",
                               "tf_mobilenetv3_small_100.tf"}) {
        const auto file = openFile(test::sharedFolder() / "weights" / folder / "model.safetensors");
        ASSERT_TRUE(file.ok()) << file.status().message();
        const auto weights = openSafetensors(*file);
        ASSERT_TRUE(weights.ok()) << weights.status().message();
        for (const TensorInfo& tensor : (*weights)->tensors()) {
            for (const float value : readAll(**weights, tensor.name, tensor.shape)) ASSERT_TRUE(std::isfinite(value));
        }
    }
}

}  // namespace
}  // namespace dunlin
