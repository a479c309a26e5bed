#include "runtime/weights/torch_checkpoint.h"

#include <gtest/gtest.h>

#include <cmath>

#include "runtime/weights/open.h"
#include "runtime/weights/tensor_data.h"
#include "tests/support.h"
#include "tests/weights_files.h"

namespace dunlin {
namespace {

using namespace std::string_literals;
using namespace test::pickle;
using test::checkpointFile;
using test::packed;
using test::patched;
using test::zipFile;

Result<std::shared_ptr<const WeightsSource>> open(std::string_view content) {
    return openTorchCheckpoint(inMemory("x.pth", test::toBytes(content)));
}

std::vector<float> readAll(const WeightsSource& weights, const std::string& name, const std::vector<int64_t>& shape) {
    std::vector<float> values(static_cast<size_t>(*elementCount(shape)));
    const Status status = weights.read(name, shape, values);
    EXPECT_TRUE(status.ok()) << status.message();
    return values;
}

std::vector<std::string> namesOf(const WeightsSource& weights) {
    std::vector<std::string> names;
    for (const TensorInfo& tensor : weights.tensors()) names.push_back(tensor.name);
    return names;
}

const std::string kSix = packed<float>({0, 1, 2, 3, 4, 5});

// A checkpoint whose only tensor "a" is a view of six floats.
std::string viewOfSix(int64_t offset, const std::vector<int64_t>& shape, const std::vector<int64_t>& strides) {
    return checkpointFile(program(dict({{"a", tensor(storage("FloatStorage", "0", 6), offset, shape, strides)}})),
                          {{"0", kSix}});
}

TEST(TorchCheckpoint, ReadsEveryStorageType) {
    const auto weights =
        open(checkpointFile(program(dict({{"single", tensor(storage("FloatStorage", "0", 2), 0, {2}, {1})},
                                          {"half", tensor(storage("HalfStorage", "1", 2), 0, {2}, {1})},
                                          {"brain", tensor(storage("BFloat16Storage", "2", 1), 0, {1}, {1})},
                                          {"double", tensor(storage("DoubleStorage", "3", 1), 0, {}, {})},
                                          {"count", tensor(storage("LongStorage", "4", 1), 0, {}, {})}})),
                            {{"0", packed<float>({1.5f, -2})},
                             {"1", packed<uint16_t>({0x3c00, 0xc000})},
                             {"2", packed<uint16_t>({0x4040})},
                             {"3", packed<double>({0.1})},
                             {"4", packed<int64_t>({7})}}));
    ASSERT_TRUE(weights.ok()) << weights.status().message();
    EXPECT_EQ(namesOf(**weights), (std::vector<std::string>{"single", "half", "brain", "double", "count"}));
    EXPECT_EQ(readAll(**weights, "single", {2}), (std::vector<float>{1.5f, -2}));
    EXPECT_EQ(readAll(**weights, "half", {2}), (std::vector<float>{1, -2}));
    EXPECT_EQ(readAll(**weights, "brain", {1}), std::vector<float>{3});
    EXPECT_EQ(readAll(**weights, "double", {}), std::vector<float>{0.1f});
    std::vector<float> one(1);
    EXPECT_EQ((*weights)->read("count", {}, one).message(),
              "x.pth: count: holds I64, where floating-point numbers are needed");
}

struct View {
    int64_t offset;
    std::vector<int64_t> shape, strides;
    std::vector<float> expected;
};

TEST(TorchCheckpoint, ReadsViewsWithAnyStrides) {
    const View views[] = {
        {2, {2, 2}, {2, 1}, {2, 3, 4, 5}},                // contiguous, from the third element
        {0, {3, 2}, {1, 3}, {0, 3, 1, 4, 2, 5}},          // transposed
        {1, {2, 1, 2}, {3, INT64_MAX, 1}, {1, 2, 4, 5}},  // a stride that says nothing
        {5, {2, 3}, {0, 0}, {5, 5, 5, 5, 5, 5}},          // expanded
        {6, {0, 4}, {4, 1}, {}},                          // empty, at the end
    };
    for (const View& view : views) {
        const auto weights = open(viewOfSix(view.offset, view.shape, view.strides));
        ASSERT_TRUE(weights.ok()) << weights.status().message();
        EXPECT_EQ(readAll(**weights, "a", view.shape), view.expected) << describeShape(view.strides);
    }
}

TEST(TorchCheckpoint, FindsTheStateDictionaryInItsWrapper) {
    const auto entry = [](const char* name) {
        return dict({{name, tensor(storage("FloatStorage", "0", 6), 0, {6}, {1})}});
    };
    const auto namesIn = [](const std::string& root) {
        const auto weights = open(checkpointFile(program(root), {{"0", kSix}}));
        EXPECT_TRUE(weights.ok()) << weights.status().message();
        return weights.ok() ? namesOf(**weights) : std::vector<std::string>();
    };
    using Names = std::vector<std::string>;
    EXPECT_EQ(namesIn(entry("plain")), Names{"plain"});
    EXPECT_EQ(namesIn(dict({{"epoch", integer(3)}, {"state_dict", entry("wrapped")}})), Names{"wrapped"});
    EXPECT_EQ(namesIn(dict({{"model", dict({{"state_dict", entry("twice")}})}})), Names{"twice"});
    EXPECT_EQ(namesIn(dict({{"state_dict", entry("last")}, {"state_dict_ema", entry("averaged")}})), Names{"averaged"});
    // an OrderedDict with the module versions that PyTorch attaches, and a parameter
    const std::string parameter = global("torch._utils", "_rebuild_parameter") +
                                  tuple({tensor(storage("FloatStorage", "0", 6), 0, {6}, {1}), "\x88",
                                         global("collections", "OrderedDict") + ")R"}) +
                                  "R";
    EXPECT_EQ(namesIn(global("collections", "OrderedDict") + ")R" + text("p") + parameter + "s" +
                      dict({{"_metadata", dict({{"", dict({{"version", integer(1)}})}})}}) + "b"),
              Names{"p"});
}

TEST(TorchCheckpoint, ReadsZip64) {
    const std::string pickled = program(dict({{"a", tensor(storage("FloatStorage", "0", 6), 0, {6}, {1})}}));
    const auto weights =
        open(zipFile({{"x/data.pkl", pickled}, {"x/data/0", kSix}, {"x/byteorder", "little"}}, true).bytes);
    ASSERT_TRUE(weights.ok()) << weights.status().message();
    EXPECT_EQ(readAll(**weights, "a", {6}), (std::vector<float>{0, 1, 2, 3, 4, 5}));
}

struct Hostile {
    const char* what;
    std::string content;
    std::string reason;  // part of the message
};

void expectRefused(const std::vector<Hostile>& files) {
    for (const Hostile& hostile : files) {
        const auto weights = open(hostile.content);
        ASSERT_FALSE(weights.ok()) << hostile.what;
        EXPECT_EQ(weights.status().code(), StatusCode::BadFile) << hostile.what;
        const std::string& message = weights.status().message();
        EXPECT_TRUE(message.starts_with("x.pth: ")) << hostile.what << ": " << message;
        EXPECT_NE(message.find(hostile.reason), std::string::npos) << hostile.what << ": " << message;
    }
}

TEST(TorchCheckpoint, RefusesOtherFiles) {
    const std::string good = program(dict({}));
    expectRefused({
        {"empty", "", "the file is empty"},
        {"text", "hello", "neither a zip archive nor a pickle"},
        {"bare pickle that calls a function",
         "\x80\x02"
         "cos\nsystem\nX\x04\0\0\0trueq\0\x85R."s,
         "would run os.system"},
        {"bare pickle", good, "a bare pickle without tensors"},
        {"TorchScript", zipFile({{"a/data.pkl", good}, {"a/constants.pkl", good}}).bytes, "TorchScript"},
        {"big-endian", zipFile({{"a/data.pkl", good}, {"a/byteorder", "big"}}).bytes, "byte order is \"big\""},
        {"no pickle", zipFile({{"a/other", good}}).bytes, "no data.pkl"},
        {"no tensors", checkpointFile(program(dict({{"lr", integer(1)}}))), "holds no tensors under lr"},
        {"empty dictionary", checkpointFile(program(dict({}))), "holds no tensors under any key"},
        {"a list", checkpointFile(program("]")), "no dictionary of tensors"},
    });
}

TEST(TorchCheckpoint, RefusesPicklesThatWouldRunCode) {
    const auto calling = [](const std::string& function) {
        return checkpointFile(program(dict({{"a", function + tuple({text("true")}) + "R"}})));
    };
    expectRefused({
        {"os.system", calling(global("os", "system")), "would run os.system"},
        {"eval", calling(global("__builtin__", "eval")), "would run __builtin__.eval"},
        {"a module that looks right", calling(global("torch._utils", "_rebuild_tensor_v2x")), "_rebuild_tensor_v2x"},
        {"dotted name", calling(global("torch", "_utils._rebuild_tensor_v2")),
         "would run torch._utils._rebuild_tensor_v2"},
        {"integer storage", calling(global("torch", "IntStorage")), "has a torch.IntStorage"},
        {"control characters", calling(global("o\x1bs", "sys\x07tem")), "would run o?s.sys?tem"},
        {"STACK_GLOBAL", checkpointFile(program(text("os") + text("system") + "\x93")), "opcode 0x93"},
        {"INST", checkpointFile(program("(ios\nsystem\n")), "opcode 0x69"},
        {"OBJ", checkpointFile(program("(o")), "opcode 0x6f"},
        {"NEWOBJ", checkpointFile(program(global("collections", "OrderedDict") + ")\x81")), "opcode 0x81"},
        {"EXT1", checkpointFile(program("\x82\x01")), "opcode 0x82"},
        {"BUILD of a function", checkpointFile(program(global("collections", "OrderedDict") + "}b")),
         "sets attributes"},
    });
}

TEST(TorchCheckpoint, RefusesBrokenPickles) {
    const auto pickled = [](const std::string& pickle) { return checkpointFile(pickle); };
    std::string memoAbuse, tower;
    for (int i = 0; i < 1001; ++i) tower += "(";
    for (int i = 0; i < 1000001; ++i) memoAbuse += "N";
    expectRefused({
        {"empty", pickled(""), "is cut at byte 0"},
        {"cut text", pickled("\x80\x02X\xff\xff\xff\xff"s), "is cut at byte 2"},
        {"cut name",
         pickled("\x80\x02"
                 "cos"),
         "is cut at byte 2"},
        {"no end", pickled("\x80\x02}"), "is cut at byte 3"},
        {"protocol 4", pickled("\x80\x04"), "protocol 4"},
        {"STOP of nothing", pickled("\x80\x02."), "takes values that are not there"},
        {"tuple of nothing", pickled("\x80\x02\x87."), "takes values that are not there"},
        {"tuple across a mark", pickled("\x80\x02NN(N\x86."), "takes values that are not there"},
        {"close without mark", pickled("\x80\x02t."), "closes what it did not open"},
        {"put of nothing", pickled("\x80\x02q\0."s), "takes values that are not there"},
        {"unknown memo", pickled("\x80\x02h\x05."), "recalls value 5"},
        {"odd items", pickled("\x80\x02}(Nu."), "a key without a value"},
        {"items of a list", pickled("\x80\x02](NNu."), "something other than a dictionary"},
        {"append to a dictionary", pickled("\x80\x02}Na."), "something other than a list"},
        {"long of 9 bytes",
         pickled("\x80\x02\x8a\x09"
                 "123456789."),
         "more than 64 bits"},
        {"reduce of no function", pickled("\x80\x02N)R."), "no function"},
        {"OrderedDict of itself", pickled(program(global("collections", "OrderedDict") + "(]tR")),
         "OrderedDict of arguments"},
        {"tensor of too few", pickled(program(global("torch._utils", "_rebuild_tensor_v2") + ")R")),
         "too few arguments"},
        {"tensor of no storage", pickled(program(tensor("N", 0, {1}, {1}))), "without a storage"},
        {"parameter of no tensor", pickled(program(global("torch._utils", "_rebuild_parameter") + "N\x85R")),
         "other than a tensor"},
        {"strange storage", pickled(program(tuple({text("file"), text("/etc/passwd")}) + "Q")), "in an unknown way"},
        {"storage of a function", pickled(program(storage("OrderedDict", "0", 1))), "would run torch.OrderedDict"},
        {"negative storage", pickled(program(storage("FloatStorage", "0", -1))), "storage of -1 elements"},
        {"marks", pickled("\x80\x02" + tower), "nests more than 1000 deep"},
        {"values", pickled("\x80\x02" + memoAbuse), "makes more than 1000000 values"},
    });
}

TEST(TorchCheckpoint, SurvivesTowersAndCycles) {
    // Given a list in a list in a list ... and a list that holds itself
    std::string tower = "\x80\x02]";
    for (int i = 0; i < 300000; ++i) tower += "\x85";
    expectRefused({
        {"tower", checkpointFile(tower + "."), "no dictionary of tensors"},
        {"cycle", checkpointFile(program("}q\1" + text("model") + "h\1s")), "holds no tensors under model"},
        {"bomb", checkpointFile(program("]q\1h\1a](h\1h\1h\1eq\1](h\1h\1h\1e")), "no dictionary of tensors"},
    });
}

TEST(TorchCheckpoint, RefusesTensorsThatLeaveTheirStorage) {
    const auto claims = [](std::string_view type, std::string_view key, int64_t count) {
        return checkpointFile(program(dict({{"a", tensor(storage(type, key, count), 0, {1}, {1})}})), {{"0", kSix}});
    };
    expectRefused({
        {"shape too large", viewOfSix(0, {7}, {1}), "a [7] with strides [1] from element 0 exceeds its storage of 6"},
        {"offset too large", viewOfSix(6, {1}, {1}), "from element 6 exceeds"},
        {"offset overflows", viewOfSix(INT64_MAX, {2}, {1}), "exceeds"},
        {"negative offset", viewOfSix(-1, {1}, {1}), "without a storage"},
        {"stride too large", viewOfSix(0, {2}, {6}), "exceeds"},
        {"stride overflows", viewOfSix(0, {3}, {INT64_MAX}), "exceeds"},
        {"negative stride", viewOfSix(5, {2}, {-1}), "numbers from 0"},
        {"negative dimension", viewOfSix(0, {-1}, {1}), "numbers from 0"},
        {"product overflows", viewOfSix(0, {INT64_MAX, 3}, {0, 0}), "is too large"},
        {"nine dimensions", viewOfSix(0, std::vector<int64_t>(9, 1), std::vector<int64_t>(9, 1)), "up to 8"},
        {"ranks differ", viewOfSix(0, {1, 1}, {1}), "up to 8"},
        {"no such storage", claims("FloatStorage", "1", 6), "lies in data/1, which the file does not have"},
        {"path as a key", claims("FloatStorage", "../0", 6), "data/../0"},
        {"storage too small", claims("FloatStorage", "0", 7), "claims 7 elements F32, but data/0 has 24 bytes"},
        {"storage of another type", claims("DoubleStorage", "0", 6), "claims 6 elements F64"},
        {"huge storage", claims("FloatStorage", "0", INT64_MAX), "claims 9223372036854775807 elements"},
        {"name with NUL",
         checkpointFile(program(dict({{"a\0b"s, tensor(storage("FloatStorage", "0", 6), 0, {1}, {1})}})),
                        {{"0", kSix}}),
         "\"a?b\""},
        {"name twice",
         checkpointFile(program(dict({{"a", tensor(storage("FloatStorage", "0", 6), 0, {1}, {1})},
                                      {"a", tensor(storage("FloatStorage", "0", 6), 1, {1}, {1})}})),
                        {{"0", kSix}}),
         "has a twice"},
    });
}

TEST(TorchCheckpoint, RefusesArchivesThatLie) {
    const std::string pickled = program(dict({{"a", tensor(storage("FloatStorage", "0", 6), 0, {6}, {1})}}));
    const std::vector<test::ZipPart> parts = {{"x/data.pkl", pickled}, {"x/data/0", kSix}};
    const test::ZipFile zip = zipFile(parts), zip64 = zipFile(parts, true);
    ASSERT_TRUE(open(zip.bytes).ok());
    const auto central = [&](size_t field, auto number) { return patched(zip.bytes, zip.central[1] + field, number); };
    const auto end = [&](size_t field, auto number) { return patched(zip.bytes, zip.end + field, number); };
    const size_t end64 = zip64.end - 76;  // the zip64 record and its locator lie before the end record
    const auto directory = static_cast<uint32_t>(zip.central[0]);
    expectRefused({
        {"compressed", central(10, uint16_t{8}), "is compressed (method 8)"},
        {"encrypted", central(8, uint16_t{1}), "is encrypted"},
        {"stored size", central(20, uint32_t{23}), "stored in 23 bytes, but claims to have 24"},
        {"both sizes", patched(central(20, uint32_t{5000}), zip.central[1] + 24, uint32_t{5000}), "claims 5000 bytes"},
        {"zip64 size missing", central(24, 0xffffffffu), "lacks its zip64 sizes"},
        {"local offset", central(42, uint32_t{1}), "is not at byte 1"},
        {"local offset far away", central(42, 0xfffffff0u), "is not at byte 4294967280"},
        {"another entry's offset", central(42, uint32_t{0}), "has another name"},
        {"broken signature", central(0, uint32_t{0}), "directory is broken"},
        {"name too long", central(28, uint16_t{0xffff}), "directory is broken"},
        {"local name too long", patched(zip.bytes, zip.local[1] + 26, uint16_t{0xffff}), "has another name"},
        {"local extra too long", patched(zip.bytes, zip.local[1] + 28, uint16_t{0xffff}), "claims 24 bytes"},
        {"more entries", end(10, uint16_t{3}), "claims 3 entries"},
        {"fewer entries", end(10, uint16_t{1}), "bytes after its last entry"},
        {"many entries", end(10, uint16_t{60000}), "claims 60000 entries"},
        {"directory size", end(12, uint32_t{0x10000}), "must end before"},
        {"directory offset", end(16, directory + 1), "must end before"},
        {"directory far away", end(16, 0xfffffff0u), "must end before"},
        {"parts", end(4, uint16_t{1}), "in several files"},
        {"zip64 missing", end(16, 0xffffffffu), "refers to a zip64 record"},
        {"comment missing", end(20, uint16_t{1}), "no end record"},
        {"zip64 record", patched(zip64.bytes, zip64.end - 12, uint64_t{UINT64_MAX}), "zip64 end record is not at byte"},
        {"zip64 entries", patched(zip64.bytes, end64 + 32, uint64_t{UINT64_MAX}), "entries"},
        {"zip64 directory", patched(zip64.bytes, end64 + 48, uint64_t{UINT64_MAX}), "must end before"},
        {"zip64 entry size", patched(zip64.bytes, zip64.central[1] + 46 + 8 + 10, uint64_t{UINT64_MAX}), "bytes"},
        {"name twice", zipFile({parts[0], parts[1], parts[1]}).bytes, "x/data/0 twice"},
        {"name with NUL", zipFile({parts[0], {"x/\0"s, "a"}}).bytes, "\"x/?\""},
    });
}

// --- the format before PyTorch 1.6

const std::string kMagic = "\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19\x2e"s;

std::string legacyStorage(std::string_view type, std::string_view key, int64_t count, const std::string& view = "N") {
    return tuple({text("storage"), global("torch", type), text(key), text("cpu"), integer(count), view}) + "Q";
}

std::string legacyFile(const std::string& dictionary, const std::vector<std::pair<std::string, std::string>>& storages,
                       int64_t version = 1001, bool littleEndian = true) {
    std::string keys = "](";
    std::string data;
    for (const auto& [key, content] : storages) {
        keys += text(key);
        data += content;
    }
    return kMagic + program(integer(version)) + program(dict({{"little_endian", littleEndian ? "\x88" : "\x89"}})) +
           program(dictionary) + program(keys + "e") + data;
}

std::string counted(int64_t count, const std::string& content) {
    return test::little(count) + content;
}

const std::string kLegacyDictionary = dict({{"a", tensor(legacyStorage("FloatStorage", "111", 6), 2, {2, 2}, {2, 1})},
                                            {"b", tensor(legacyStorage("HalfStorage", "22", 3), 0, {3}, {1})},
                                            {"count", tensor(legacyStorage("LongStorage", "3", 1), 0, {}, {})}});
const std::vector<std::pair<std::string, std::string>> kLegacyStorages = {
    {"22", counted(3, packed<uint16_t>({0x3c00, 0xc000, 0x4000}))},
    {"111", counted(6, kSix)},
    {"3", counted(1, packed<int64_t>({7}))}};

TEST(TorchCheckpoint, ReadsTheFormatBeforeZip) {
    const auto weights = open(legacyFile(kLegacyDictionary, kLegacyStorages));
    ASSERT_TRUE(weights.ok()) << weights.status().message();
    EXPECT_EQ(namesOf(**weights), (std::vector<std::string>{"a", "b", "count"}));
    EXPECT_EQ(readAll(**weights, "a", {2, 2}), (std::vector<float>{2, 3, 4, 5})) << "not aligned in the file";
    EXPECT_EQ(readAll(**weights, "b", {3}), (std::vector<float>{1, -2, 2}));
}

TEST(TorchCheckpoint, RefusesBrokenFilesOfTheFormatBeforeZip) {
    const auto storages = kLegacyStorages;
    const auto with = [&](size_t index, const std::string& key, const std::string& content) {
        auto changed = storages;
        changed[index] = {key, content};
        return legacyFile(kLegacyDictionary, changed);
    };
    expectRefused({
        {"only the beginning", kMagic, "the version: the pickle is cut"},
        {"version", legacyFile(kLegacyDictionary, storages, 1000), "not of its version 1001"},
        {"big-endian", legacyFile(kLegacyDictionary, storages, 1001, false), "byte order is big"},
        {"storage missing", legacyFile(kLegacyDictionary, {storages[0], storages[2]}),
         "a lies in storage 111, which the file does not have"},
        {"storage of no tensor", with(2, "4", counted(1, packed<int64_t>({7}))), "storage 4, which no tensor has"},
        {"cut", with(2, "3", "1234"), "cut before storage 3"},
        {"negative", with(2, "3", counted(-1, "")), "claims -1 elements of 8 bytes"},
        {"too many", with(2, "3", counted(INT64_MAX, "12345678")), "but 8 bytes follow"},
        {"other size", with(1, "111", counted(5, kSix.substr(4))),
         "claims 6 elements F32, but storage 111 has 20 bytes"},
        {"no list",
         kMagic + program(integer(1001)) + program(dict({})) + program(kLegacyDictionary) + program(integer(1)),
         "no list of storages"},
        {"view of a storage",
         legacyFile(dict({{"a", tensor(legacyStorage("FloatStorage", "0", 6, integers({1, 2})), 0, {6}, {1})}}), {}),
         "a view of a storage"},
        {"calls a function", legacyFile(global("os", "system") + tuple({text("true")}) + "R", {}),
         "would run os.system"},
    });
}

TEST(TorchCheckpoint, RefusesLongStorageKeys) {
    const auto file = [](size_t keyBytes) {
        const std::string key(keyBytes, 'k');
        return legacyFile(dict({{"a", tensor(legacyStorage("FloatStorage", key, 1), 0, {1}, {1})}}),
                          {{key, counted(1, packed<float>({1}))}});
    };
    EXPECT_TRUE(open(file(256)).ok());
    const auto refused = open(file(257));
    ASSERT_FALSE(refused.ok());
    EXPECT_NE(refused.status().message().find("a storage's key of 257 bytes, the limit is 256"), std::string::npos)
        << refused.status().message();
}

// Each of them could otherwise take as much memory as the dictionary.
TEST(TorchCheckpoint, TheSmallPicklesBeforeTheDictionaryStaySmall) {
    std::string many = "(";
    for (int i = 0; i < 1000; ++i) many += "N";
    many += "t";
    for (const bool isVersion : {true, false}) {
        const std::string start = isVersion ? kMagic + program(many) : kMagic + program(integer(1001)) + program(many);
        const auto refused = open(start + program(kLegacyDictionary));
        ASSERT_FALSE(refused.ok());
        EXPECT_NE(refused.status().message().find("makes more than 1000 values"), std::string::npos)
            << refused.status().message();
    }
}

TEST(TorchCheckpoint, RefusesAFileOfTheFormatBeforeZipCutAnywhere) {
    const std::string whole = legacyFile(kLegacyDictionary, kLegacyStorages);
    for (size_t length = 0; length < whole.size(); ++length) {
        EXPECT_FALSE(open(whole.substr(0, length)).ok()) << length << " of " << whole.size() << " bytes";
    }
}

TEST(TorchCheckpoint, RefusesAFileCutAnywhere) {
    const std::string whole = viewOfSix(0, {6}, {1});
    ASSERT_TRUE(open(whole).ok());
    for (size_t length = 0; length < whole.size(); ++length) {
        EXPECT_FALSE(open(whole.substr(0, length)).ok()) << length << " of " << whole.size() << " bytes";
    }
}

TEST(OpenWeights, ChoosesByContentAndEnding) {
    const std::string checkpoint = viewOfSix(0, {6}, {1});
    const auto opened = [](const std::string& name, std::string_view content) {
        return openWeights(inMemory(name, test::toBytes(content)));
    };
    EXPECT_TRUE(opened("a.pth", checkpoint).ok());
    EXPECT_TRUE(opened("without_ending", checkpoint).ok());
    const std::string header = R"({"a":{"dtype":"F32","shape":[6],"data_offsets":[0,24]}})";
    const std::string padded = header + std::string(128 - header.size(), ' ');  // begins like a pickle
    EXPECT_TRUE(opened("a.safetensors", test::safetensorsFile(padded, kSix)).ok());
    EXPECT_TRUE(opened("without_ending", test::safetensorsFile(header, kSix)).ok());
    EXPECT_EQ(opened("a.bin", "hello").status().message(), "a.bin: it is neither a zip archive nor a pickle");
}

TEST(TorchCheckpoint, OpensAPublishedOne) {
    DUNLIN_NEEDS_SHARED("weights");
    const auto weights = openWeights(test::sharedFolder() / "weights" / "torchvision_mobilenet_v2.pth");
    ASSERT_TRUE(weights.ok()) << weights.status().message();
    EXPECT_EQ((*weights)->tensors().size(), 314u);
    for (const TensorInfo& tensor : (*weights)->tensors()) {
        if (tensor.dtype == DType::I64) continue;
        for (const float value : readAll(**weights, tensor.name, tensor.shape)) ASSERT_TRUE(std::isfinite(value));
    }
}

}  // namespace
}  // namespace dunlin
