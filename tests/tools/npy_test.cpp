#include "tools/dunlin/npy.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>

#include "tests/tools/temporary_folder.h"

namespace dunlin::cli {
namespace {

std::string file(const std::string& dictionary, const std::string& data, char major = 1) {
    std::string length(major == 1 ? 2 : 4, '\0');
    length[0] = static_cast<char>(dictionary.size() & 255);
    length[1] = static_cast<char>(dictionary.size() >> 8);
    return std::string("\x93NUMPY") + major + '\0' + length + dictionary + data;
}

template <typename T>
std::string bytesOf(std::initializer_list<T> values) {
    std::string bytes(values.size() * sizeof(T), '\0');
    std::memcpy(bytes.data(), std::data(values), bytes.size());
    return bytes;
}

Outcome<NpyArray> parse(const std::string& text) {
    return parseNpy(std::as_bytes(std::span(text)));
}

std::string described(const std::string& type, const std::string& shape, const char* order = "False") {
    return "{'descr': '" + type + "', 'fortran_order': " + order + ", 'shape': " + shape + ", }    \n";
}

void expectRefused(const std::string& text, const std::string& words) {
    const Outcome<NpyArray> array = parse(text);
    ASSERT_FALSE(array.ok()) << words;
    EXPECT_EQ(array.failure().status, ExitStatus::BadInput);
    EXPECT_NE(array.failure().message.find(words), std::string::npos) << array.failure().message;
}

TEST(Npy, ReadsFloat32OfEveryVersion) {
    for (char major : {'\1', '\2', '\3'}) {
        const Outcome<NpyArray> array =
            parse(file(described("<f4", "(2, 3)"), bytesOf({1.f, 2.f, 3.f, 4.f, 5.f, -6.5f}), major));
        ASSERT_TRUE(array.ok()) << array.failure().message;
        EXPECT_EQ(array->shape, (std::vector<int64_t>{2, 3}));
        EXPECT_EQ(array->values, (std::vector<float>{1, 2, 3, 4, 5, -6.5f}));
    }
}

TEST(Npy, ReadsKeysInAnyOrder) {
    const Outcome<NpyArray> array = parse(file("{\"shape\":(1,),'fortran_order':True,'descr':'<f4'}", bytesOf({4.f})));
    ASSERT_TRUE(array.ok()) << array.failure().message;  // one dimension is the same in both orders
    EXPECT_EQ(array->shape, (std::vector<int64_t>{1}));
}

TEST(Npy, ReadsScalars) {
    const Outcome<NpyArray> array = parse(file(described("<f4", "()"), bytesOf({4.f})));
    ASSERT_TRUE(array.ok()) << array.failure().message;
    EXPECT_TRUE(array->shape.empty());
    EXPECT_EQ(array->values, std::vector<float>{4.f});
}

TEST(Npy, WidensFloat16AndNarrowsFloat64) {
    const Outcome<NpyArray> halves =
        parse(file(described("<f2", "(6,)"), bytesOf<uint16_t>({0x3c00, 0xc000, 0x0001, 0x7bff, 0xfc00, 0x8000})));
    ASSERT_TRUE(halves.ok()) << halves.failure().message;
    EXPECT_EQ(halves->values,
              (std::vector<float>{1, -2, 0x1p-24f, 65504, -std::numeric_limits<float>::infinity(), -0.0f}));
    EXPECT_TRUE(std::signbit(halves->values[5]));

    const Outcome<NpyArray> doubles = parse(file(described("<f8", "(2,)"), bytesOf({0.1, -1e300})));
    ASSERT_TRUE(doubles.ok()) << doubles.failure().message;
    EXPECT_EQ(doubles->values[0], 0.1f);
    EXPECT_TRUE(std::isinf(doubles->values[1]));
}

TEST(Npy, RefusesWhatItCannotRead) {
    expectRefused("", "not a .npy file");
    expectRefused("\x93NUMPY", "ends within its header");
    expectRefused(std::string("\x93NUMPY\1\0\xff\xff{}", 12), "a header of 65535 bytes in a file of 12");
    expectRefused(file(described("<f4", "(1,)"), bytesOf({1.f}), '\4'), "format version 4");
    expectRefused(file(described(">f4", "(1,)"), bytesOf({1.f})), ">f4");
    expectRefused(file(described("|O", "(1,)"), "cos\nsystem"), "|O");
    expectRefused(file(described("<f4", "(2, 2)", "True"), bytesOf({1.f, 2.f, 3.f, 4.f})), "Fortran order");
}

TEST(Npy, RefusesASizeThatIsNotTheShapes) {
    expectRefused(file(described("<f4", "(2,)"), bytesOf({1.f})), "4 bytes of data, the shape [2] of '<f4' needs 8");
    expectRefused(file(described("<f4", "(1,)"), bytesOf({1.f, 2.f})), "8 bytes of data");
    expectRefused(file(described("<f4", "(4294967296, 4294967296)"), ""), "too large");
    expectRefused(file(described("<f4", "(1099511627776,)"), ""), "too large");
}

TEST(Npy, RefusesHeadersThatAreNoArrayDescription) {
    for (const char* dictionary : {
             "",
             "{",
             "{}",
             "[]",
             "{'descr': '<f4'}",
             "{'descr': '<f4', 'fortran_order': False, 'shape': (-1,)}",
             "{'descr': '<f4', 'fortran_order': False, 'shape': (1,), 'more': 1}",
             "{'descr': '<f4', 'fortran_order': False, 'shape': (1,)} or 1",
             "{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (1,)}",
             "{'descr': '<f4', 'fortran_order': None, 'shape': (1,)}",
             "{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999,)}",
             "{'descr': '<f4', 'fortran_order': False, 'shape': (1,1,1,1,1,1,1,1,1)}",
             "{'descr': '<f4, 'fortran_order': False, 'shape': (1,)}",
         }) {
        SCOPED_TRACE(dictionary);
        expectRefused(file(dictionary, bytesOf({1.f})), "not a description of an array");
    }
}

TEST(Npy, ReadsBackWhatItWrote) {
    const test::TemporaryFolder folder;
    for (const std::vector<int64_t>& shape : {std::vector<int64_t>{1, 2, 3}, {6}, {6, 1, 1, 1}}) {
        const std::vector<float> values = {0, -1, 2.5f, 1e-40f, 1e38f, 7};
        OutputFiles files;
        ASSERT_FALSE(writeNpy(files, folder / "x.npy", shape, values));
        ASSERT_FALSE(files.commit());
        const Outcome<NpyArray> array = readNpy(folder / "x.npy");
        ASSERT_TRUE(array.ok()) << array.failure().message;
        EXPECT_EQ(array->shape, shape);
        EXPECT_EQ(array->values, values);
    }
    EXPECT_EQ((std::filesystem::file_size(folder / "x.npy") - 24) % 64, 0u) << "NumPy aligns the data to 64 bytes";
}

TEST(Npy, NamesTheFileThatItCannotRead) {
    const test::TemporaryFolder folder;
    for (const std::string& path : {folder / "absent.npy", folder.file("text.npy", "hello")}) {
        const Outcome<NpyArray> array = readNpy(path);
        ASSERT_FALSE(array.ok());
        EXPECT_TRUE(array.failure().message.starts_with(path + ": ")) << array.failure().message;
    }
}

}  // namespace
}  // namespace dunlin::cli
