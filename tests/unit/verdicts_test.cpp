// What tuning found out, as a text: read as it was written, and by nobody else's rules.
#include "runtime/tuning/verdicts.h"

#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "runtime/tuning/verdict_store.h"

namespace dunlin::tuning {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

Identity someIdentity() {
    Identity identity;
    identity.vendorId = 0x10005;
    identity.deviceId = 42;
    identity.driverVersion = 0xffffffff;
    identity.pipelineCacheUuid = {1, 2, 3, 255};
    identity.shaderHash = 0xfedcba9876543210;
    return identity;
}

Verdicts someVerdicts() {
    Verdicts verdicts;
    verdicts.problems["pointwise/14x14x112-672/hard-swish/fp32"] = {
        "tile8x2-texel-local128",
        "tile8x2-texel",
        81234.5,
        100000,
        11,
        true,
        {{"tile1x1-storage", "element 5 of 100 is 3 instead of 4 in 'x'"}},
        {"tile4x1-storage", "tile4x1-texel"}};
    verdicts.problems["head/1x1x1000/top5/fp16"] = {"texel", "texel-local256", 0, 0, 1, false, {}, {}};
    verdicts.blocks["inverted_residual/14x14x40-120/k5s1/fp32"] = {true, 10, 20.25};
    verdicts.blocks["pooled_linear/7x7x576-1024/fp32"] = {false, 30, 20};
    return verdicts;
}

TEST(Verdicts, areReadAsTheyWereWritten) {
    EXPECT_EQ(parseVerdicts(toText(someVerdicts(), someIdentity()), someIdentity()), someVerdicts());
    EXPECT_EQ(parseVerdicts(toText({}, someIdentity()), someIdentity()), Verdicts());
}

TEST(Verdicts, makeATableOfFormsAndOfBlocksThatAreOne) {
    const FormTable table = someVerdicts().table();
    EXPECT_EQ(table.forms.size(), 2u);
    EXPECT_EQ(table.forms.at("head/1x1x1000/top5/fp16"), "texel");
    EXPECT_EQ(table.fusedBlocks, std::set<std::string>{"inverted_residual/14x14x40-120/k5s1/fp32"});
}

TEST(Verdicts, ofAnotherDeviceDriverOrShadersAreNone) {
    const std::string text = toText(someVerdicts(), someIdentity());
    Identity other = someIdentity();
    other.vendorId ^= 1;
    EXPECT_FALSE(parseVerdicts(text, other));
    other = someIdentity();
    other.deviceId ^= 1;
    EXPECT_FALSE(parseVerdicts(text, other));
    other = someIdentity();
    other.driverVersion ^= 1;
    EXPECT_FALSE(parseVerdicts(text, other));
    other = someIdentity();
    other.pipelineCacheUuid[15] ^= 1;
    EXPECT_FALSE(parseVerdicts(text, other));
    other = someIdentity();
    other.shaderHash ^= 1;
    EXPECT_FALSE(parseVerdicts(text, other)) << "of another version of the library";
}

TEST(Verdicts, cutAnywhereAreNone) {
    const std::string text = toText(someVerdicts(), someIdentity());
    for (size_t length = 0; length + 2 < text.size(); ++length)
        EXPECT_FALSE(parseVerdicts(text.substr(0, length), someIdentity())) << length;
}

// A changed letter in a name is another name, which the lowering does not know; whatever is read can be written.
TEST(Verdicts, withAnyBitChangedAreNoneOrWellFormed) {
    const std::string text = toText(someVerdicts(), someIdentity());
    size_t refused = 0;
    for (size_t i = 0; i < text.size(); ++i) {
        for (int bit = 0; bit < 8; ++bit) {
            std::string changed = text;
            changed[i] = static_cast<char>(changed[i] ^ (1 << bit));
            const auto verdicts = parseVerdicts(changed, someIdentity());
            refused += !verdicts;
            if (verdicts) {
                EXPECT_EQ(parseVerdicts(toText(*verdicts, someIdentity()), someIdentity()), verdicts);
            }
        }
    }
    EXPECT_GT(refused, text.size() * 3);
}

// One member changed at a time.
TEST(Verdicts, withAbsurdValuesAreNone) {
    const Json good = Json::parse(toText(someVerdicts(), someIdentity()));
    const std::string problem = "/problems/pointwise~114x14x112-672~1hard-swish~1fp32";
    const std::string block = "/blocks/pooled_linear~17x7x576-1024~1fp32";
    const std::pair<std::string, Json> changes[] = {
        {"/format", "dunlin"},
        {"/version", 1},
        {"/version", "1"},
        {"/device", Json::array()},
        {"/device/vendorId", -1},
        {"/device/shaders", 0},
        {"/problems", nullptr},
        {"/problems", Json::array()},
        {"/blocks", "none"},
        {problem, nullptr},
        {problem + "/form", ""},
        {problem + "/form", 7},
        {problem + "/form", std::string(1000, 'x')},
        {problem + "/form", "tile\n8x2"},
        {problem + "/form", "t\xc3\xa4"},
        {problem + "/form", "tile1x1-storage"},  // which is rejected
        {problem + "/default", nullptr},
        {problem + "/timeNs", -1},
        {problem + "/timeNs", 1e300},
        {problem + "/timeNs", "81"},
        {problem + "/defaultNs", nullptr},
        {problem + "/tried", -1},
        {problem + "/tried", 1.5},
        {problem + "/tried", 1u << 30},
        {problem + "/complete", 1},
        {problem + "/rejected", Json::array()},
        {problem + "/rejected/tile1x1-storage", nullptr},
        {problem + "/rejected/tile1x1-storage", std::string(5000, 'x')},
        {problem + "/lost", Json::object()},
        {problem + "/lost", Json::array({1})},
        {problem + "/lost", Json::array({"b", "a"})},
        {problem + "/lost", Json::array({"tile8x2-texel-local128"})},  // the form itself
        {block + "/fused", "yes"},
        {block + "/fusedNs", -0.5},
    };
    for (const auto& [pointer, value] : changes) {
        Json changed = good;
        changed.at(Json::json_pointer(pointer)) = value;
        const std::string text = changed.dump(-1, ' ', false, Json::error_handler_t::ignore);
        EXPECT_FALSE(parseVerdicts(text, someIdentity())) << pointer << " = " << value.dump().substr(0, 40);
    }
    EXPECT_TRUE(parseVerdicts(good.dump(), someIdentity()));
}

TEST(Verdicts, missingAnyMemberAreNone) {
    const Json good = Json::parse(toText(someVerdicts(), someIdentity()));
    const Json members = good.flatten();
    for (const auto& [pointer, value] : members.items()) {
        const bool isElement =
            pointer.find("/rejected/") != std::string::npos || pointer.find("/lost/") != std::string::npos;
        if (isElement) continue;
        Json changed = good;
        const Json::json_pointer whole(pointer);
        changed.at(whole.parent_pointer()).erase(whole.back());
        EXPECT_FALSE(parseVerdicts(changed.dump(), someIdentity())) << pointer;
    }
}

TEST(Verdicts, ofAbsurdSizeAreNone) {
    EXPECT_FALSE(parseVerdicts(std::string(kMaxVerdictBytes + 1, ' '), someIdentity()));
    EXPECT_FALSE(parseVerdicts(std::string(1 << 20, '['), someIdentity()));
    EXPECT_FALSE(parseVerdicts(std::string(1 << 20, '{'), someIdentity()));
    // brackets count where they are brackets
    const std::string good = toText(someVerdicts(), someIdentity());
    std::string braced = good;
    braced.replace(braced.find("element 5"), 9, "[[[[[[\\\"[");
    EXPECT_TRUE(parseVerdicts(braced, someIdentity())) << braced;
    std::string deep = good;
    deep.insert(deep.rfind('}'), ",\"more\":[[[[[]]]]]");
    EXPECT_FALSE(parseVerdicts(deep, someIdentity()));
    std::string flat = good;
    flat.insert(flat.rfind('}'), ",\"more\":[[[[]]]]");
    EXPECT_TRUE(parseVerdicts(flat, someIdentity()));
    Json many = Json::parse(toText(someVerdicts(), someIdentity()));
    for (int i = 0; i < 70000; ++i) many["blocks"]["b" + std::to_string(i)] = many["blocks"].front();
    EXPECT_FALSE(parseVerdicts(many.dump(), someIdentity()));
}

TEST(Verdicts, ofDriversThatSpeakInOddLettersAreWrittenPlainly) {
    Verdicts verdicts = someVerdicts();
    verdicts.problems.begin()->second.rejected = {
        {"storage", "nicht m\xc3\xb6glich\x1b[31m\n" + std::string(5000, '!')}};
    const auto read = parseVerdicts(toText(verdicts, someIdentity()), someIdentity());
    ASSERT_TRUE(read);
    const std::string& why = read->problems.begin()->second.rejected[0].why;
    EXPECT_TRUE(why.starts_with("nicht m??glich?[31m?!")) << why.substr(0, 40);
}

class VerdictStoreTest : public ::testing::Test {
  protected:
    void SetUp() override {
        folder_ = fs::path(::testing::TempDir()) /
                  (std::string("dunlin_store_") + ::testing::UnitTest::GetInstance()->current_test_info()->name());
        fs::remove_all(folder_);
        capabilities_.vendorId = 1;
        capabilities_.driverVersion = 2;
    }
    void TearDown() override { fs::remove_all(folder_); }

    VerdictStore store(const VerdictSources& sources) {
        return VerdictStore(capabilities_, sources, [this](vulkan::NoticeSeverity severity, const std::string& text) {
            notices_.emplace_back(severity, text);
        });
    }
    VerdictStore store() { return store({{}, {}, folder_}); }

    fs::path folder_;
    vulkan::Capabilities capabilities_;
    std::vector<std::pair<vulkan::NoticeSeverity, std::string>> notices_;
};

TEST_F(VerdictStoreTest, keepsWhatSeveralProcessesFound) {
    // given two processes that began with nothing
    VerdictStore first = store(), second = store();
    EXPECT_EQ(first.verdicts(), Verdicts());
    // when each saves something
    first.add("a", Verdict{"f", "d", 1, 2, 3, true, {}, {}});
    first.save();
    second.add("b", Verdict{"g", "d", 1, 2, 3, true, {}, {}});
    second.add("c", BlockVerdict{true, 1, 2});
    second.save();
    // then a third one has it all
    const Verdicts all = store().verdicts();
    EXPECT_EQ(all.problems.size(), 2u);
    EXPECT_EQ(all.blocks.size(), 1u);
    EXPECT_TRUE(notices_.empty());
    EXPECT_EQ(std::distance(fs::directory_iterator(folder_), fs::directory_iterator()), 1) << "no temporary is left";
}

TEST_F(VerdictStoreTest, writesNothingWhereNothingWasAdded) {
    store().save();
    EXPECT_FALSE(fs::exists(folder_));
}

TEST_F(VerdictStoreTest, whatWasFoundHereGoesBeforeWhatWasShipped) {
    Verdicts shipped;
    shipped.problems["a"] = {"shipped", "d", 1, 2, 3, true, {}, {}};
    shipped.problems["b"] = {"shipped", "d", 1, 2, 3, true, {}, {}};
    const std::string text = toText(shipped, Identity::of(capabilities_));
    VerdictStore here = store();
    here.add("a", Verdict{"here", "d", 1, 2, 3, true, {}, {}});
    here.save();
    const VerdictStore both = store({std::as_bytes(std::span(text)), {}, folder_});
    EXPECT_EQ(both.verdicts().problems.at("a").form, "here");
    EXPECT_EQ(both.verdicts().problems.at("b").form, "shipped");
}

TEST_F(VerdictStoreTest, whatWasShippedIsNeverCompleteAndRejectsNothing) {
    Verdicts shipped;
    shipped.problems["a"] = {"f", "d", 1, 2, 3, true, {{"d", "wrong"}}, {"g"}};
    const std::string text = toText(shipped, Identity::of(capabilities_));
    const Verdict expected = {"f", "d", 1, 2, 3, false, {}, {"g"}};
    EXPECT_EQ(store({std::as_bytes(std::span(text)), {}, {}}).verdicts().problems.at("a"), expected);
    fs::create_directories(folder_);
    std::ofstream(store().file(), std::ios::binary) << text;
    EXPECT_EQ(store({{}, folder_, {}}).verdicts().problems.at("a"), expected);
    // but what was found here is
    EXPECT_EQ(store().verdicts(), shipped);
}

TEST_F(VerdictStoreTest, aFileDoesNotGrowBeyondWhatCanBeRead) {
    VerdictStore full = store();
    const std::string why(1000, '!');
    const size_t most = kMaxVerdictBytes / why.size();
    full.add("first", Verdict{"f", "d", 1, 2, 3, true, {}, {}});
    full.save();
    for (size_t i = 0; i < most; ++i)
        full.add("problem" + std::to_string(i), Verdict{"f", "d", 1, 2, 3, true, {{"g", why}}, {}});
    full.save();
    ASSERT_EQ(notices_.size(), 1u);
    EXPECT_EQ(notices_[0].first, vulkan::NoticeSeverity::Warning);
    EXPECT_NE(notices_[0].second.find(std::to_string(kMaxVerdictBytes)), std::string::npos) << notices_[0].second;
    EXPECT_EQ(store().verdicts().problems.size(), 1u) << "what was there stays";
}

TEST_F(VerdictStoreTest, aDamagedFileIsToldOfAndReplaced) {
    fs::create_directories(folder_);
    std::ofstream(store().file()) << "{\"format\":";
    VerdictStore damaged = store();
    ASSERT_EQ(notices_.size(), 1u);
    EXPECT_EQ(notices_[0].first, vulkan::NoticeSeverity::Info);
    EXPECT_NE(notices_[0].second.find(damaged.file().string()), std::string::npos) << notices_[0].second;
    damaged.add("a", Verdict{"f", "d", 1, 2, 3, true, {}, {}});
    damaged.save();
    EXPECT_EQ(store().verdicts().problems.size(), 1u);
    EXPECT_EQ(notices_.size(), 1u);
}

TEST_F(VerdictStoreTest, aFolderThatCannotBeWrittenIsOneWarning) {
    std::ofstream(folder_) << "a file where the folder should be";
    VerdictStore blocked = store();
    blocked.add("a", Verdict{"f", "d", 1, 2, 3, true, {}, {}});
    blocked.save();
    blocked.save();
    ASSERT_EQ(notices_.size(), 1u);
    EXPECT_EQ(notices_[0].first, vulkan::NoticeSeverity::Warning);
    EXPECT_EQ(blocked.verdicts().problems.size(), 1u) << "this process has it";
}

TEST_F(VerdictStoreTest, aShippedFileThatIsAbsentIsToldOf) {
    EXPECT_EQ(store({{}, folder_ / "absent.json", {}}).verdicts(), Verdicts());
    ASSERT_EQ(notices_.size(), 1u);
    EXPECT_NE(notices_[0].second.find("absent.json"), std::string::npos);
    // but not that a folder has nothing for this device
    fs::create_directories(folder_);
    store({{}, folder_, {}});
    EXPECT_EQ(notices_.size(), 1u);
}

}  // namespace
}  // namespace dunlin::tuning
