// The pipeline cache on disk: what is not ours, or not whole, counts as absent and never harms.
#include <algorithm>
#include <fstream>
#include <stdexcept>
#include <thread>

#include "runtime/vulkan/backend.h"
#include "tests/vulkan/small_network.h"
#include "tests/vulkan/vulkan_fixture.h"

namespace dunlin::vulkan {
namespace {

namespace fs = std::filesystem;

class TemporaryFolder {
  public:
    TemporaryFolder() {
        const auto* test = ::testing::UnitTest::GetInstance()->current_test_info();
        path_ = fs::path(::testing::TempDir()) / (std::string("dunlin_") + test->name() + std::to_string(std::rand()));
        fs::remove_all(path_);
        fs::create_directories(path_);
    }
    ~TemporaryFolder() {
        fs::permissions(path_, fs::perms::owner_all);
        fs::remove_all(path_);
    }
    const fs::path& path() const { return path_; }
    size_t fileCount() const {
        return static_cast<size_t>(std::distance(fs::directory_iterator(path_), fs::directory_iterator()));
    }

  private:
    fs::path path_;
};

std::vector<std::byte> payloadOf(size_t count) {
    std::vector<std::byte> payload(count);
    for (size_t i = 0; i < count; ++i) payload[i] = static_cast<std::byte>(i * 7 + 3);
    return payload;
}

PipelineCacheKey someKey() {
    PipelineCacheKey key;
    key.vendorId = 0x10005;
    key.deviceId = 42;
    key.driverVersion = 7;
    key.pipelineCacheUuid = {1, 2, 3};
    key.shaderHash = 0x123456789abcdef;
    return key;
}

std::vector<char> bytesOf(const fs::path& file) {
    std::ifstream stream(file, std::ios::binary);
    return {std::istreambuf_iterator<char>(stream), {}};
}
void writeBytes(const fs::path& file, const std::vector<char>& bytes) {
    std::ofstream(file, std::ios::binary | std::ios::trunc)
        .write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
}

TEST(PipelineCacheFile, isReadAsItWasWritten) {
    const TemporaryFolder folder;
    const fs::path file = folder.path() / "not" / "there" / "yet" / "cache.bin";
    ASSERT_TRUE(writePipelineCache(file, someKey(), payloadOf(1000)));
    EXPECT_EQ(readPipelineCache(file, someKey()), payloadOf(1000));
    ASSERT_TRUE(writePipelineCache(file, someKey(), payloadOf(500))) << "an older file is replaced";
    EXPECT_EQ(readPipelineCache(file, someKey()), payloadOf(500));
}

TEST(PipelineCacheFile, ofAnotherDeviceDriverOrShadersIsIgnored) {
    const TemporaryFolder folder;
    const fs::path file = folder.path() / "cache.bin";
    ASSERT_TRUE(writePipelineCache(file, someKey(), payloadOf(100)));
    PipelineCacheKey key = someKey();
    key.vendorId ^= 1;
    EXPECT_FALSE(readPipelineCache(file, key));
    key = someKey();
    key.deviceId ^= 1;
    EXPECT_FALSE(readPipelineCache(file, key));
    key = someKey();
    key.driverVersion ^= 1;
    EXPECT_FALSE(readPipelineCache(file, key));
    key = someKey();
    key.pipelineCacheUuid[15] ^= 1;
    EXPECT_FALSE(readPipelineCache(file, key));
    key = someKey();
    key.shaderHash ^= 1;
    EXPECT_FALSE(readPipelineCache(file, key));
    EXPECT_TRUE(readPipelineCache(file, someKey()));
}

TEST(PipelineCacheFile, cutAnywhereIsIgnored) {
    const TemporaryFolder folder;
    const fs::path file = folder.path() / "cache.bin";
    ASSERT_TRUE(writePipelineCache(file, someKey(), payloadOf(100)));
    const std::vector<char> whole = bytesOf(file);
    for (size_t length = 0; length < whole.size(); ++length) {
        writeBytes(file, {whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(length)});
        EXPECT_FALSE(readPipelineCache(file, someKey())) << length << " bytes";
    }
    std::vector<char> longer = whole;
    longer.push_back(0);
    writeBytes(file, longer);
    EXPECT_FALSE(readPipelineCache(file, someKey())) << "a byte too many";
}

TEST(PipelineCacheFile, withAnyByteChangedIsIgnored) {
    const TemporaryFolder folder;
    const fs::path file = folder.path() / "cache.bin";
    ASSERT_TRUE(writePipelineCache(file, someKey(), payloadOf(100)));
    const std::vector<char> whole = bytesOf(file);
    for (size_t i = 0; i < whole.size(); ++i) {
        std::vector<char> changed = whole;
        changed[i] = static_cast<char>(changed[i] ^ 0x40);
        writeBytes(file, changed);
        EXPECT_FALSE(readPipelineCache(file, someKey())) << "byte " << i;
    }
}

TEST(PipelineCacheFile, thatIsAFolderOrAbsentIsIgnored) {
    const TemporaryFolder folder;
    EXPECT_FALSE(readPipelineCache(folder.path(), someKey()));
    EXPECT_FALSE(readPipelineCache(folder.path() / "absent", someKey()));
    EXPECT_FALSE(writePipelineCache(folder.path(), someKey(), payloadOf(10))) << "a folder is in the way";
}

class PipelinesTest : public test::VulkanTest {
  protected:
    // A session's pipelines with this cache folder; whether they came from a file.
    bool compileWithCache(const fs::path& folder, fs::path* file = nullptr) {
        notices_.clear();
        auto backend = VulkanBackend::create(device_, folder, [this](NoticeSeverity severity, const std::string& text) {
            notices_.emplace_back(severity, text);
        });
        EXPECT_TRUE(backend.ok()) << backend.status().message();
        const auto session = (*backend)->createSession(test::smallModel(), {});
        EXPECT_TRUE(session.ok()) << session.status().message();
        if (file) *file = (*backend)->pipelines().cacheFile();
        return (*backend)->pipelines().loadedFromFile();
    }

    std::vector<std::pair<NoticeSeverity, std::string>> notices_;  // of the last compileWithCache()
};

TEST_F(PipelinesTest, secondStartReadsWhatTheFirstWrote) {
    const TemporaryFolder folder;
    EXPECT_FALSE(compileWithCache(folder.path()));
    EXPECT_EQ(folder.fileCount(), 1u) << "no temporary file is left";
    EXPECT_TRUE(notices_.empty()) << notices_.front().second;
    EXPECT_TRUE(compileWithCache(folder.path()));
    EXPECT_TRUE(notices_.empty()) << notices_.front().second;
}

TEST_F(PipelinesTest, aFileIsWrittenOnceWhereNothingIsCompiledAnew) {
    // given a backend that started without a file, and a session that wrote it
    const TemporaryFolder folder;
    auto backend = VulkanBackend::create(device_, folder.path());
    ASSERT_TRUE(backend.ok()) << backend.status().message();
    ASSERT_TRUE((*backend)->createSession(test::smallModel(), {}).ok());
    const fs::path file = (*backend)->pipelines().cacheFile();
    ASSERT_TRUE(fs::remove(file));
    // when another session needs the same pipelines, then nothing is written
    ASSERT_TRUE((*backend)->createSession(test::smallModel(), {}).ok());
    EXPECT_FALSE(fs::exists(file));
}

TEST_F(PipelinesTest, aDamagedFileIsIgnoredAndRewritten) {
    const TemporaryFolder folder;
    fs::path file;
    compileWithCache(folder.path(), &file);
    std::vector<char> bytes = bytesOf(file);
    ASSERT_GT(bytes.size(), 64u) << "a header and what the driver says";
    bytes.back() = static_cast<char>(bytes.back() ^ 1);
    writeBytes(file, bytes);
    EXPECT_FALSE(compileWithCache(folder.path()));
    ASSERT_EQ(notices_.size(), 1u);
    EXPECT_EQ(notices_[0].first, NoticeSeverity::Info);
    EXPECT_NE(notices_[0].second.find(file.string()), std::string::npos) << notices_[0].second;
    EXPECT_TRUE(compileWithCache(folder.path())) << "the damaged file was replaced";
}

TEST_F(PipelinesTest, aFolderThatCannotBeWrittenCostsOnlyTime) {
    const TemporaryFolder folder;
    // a file where the folder should be: not even root can write into it
    const fs::path blocked = folder.path() / "file";
    writeBytes(blocked, {'x'});
    EXPECT_FALSE(compileWithCache(blocked));
    ASSERT_EQ(notices_.size(), 1u);
    EXPECT_EQ(notices_[0].first, NoticeSeverity::Warning);
    EXPECT_NE(notices_[0].second.find(blocked.string()), std::string::npos) << notices_[0].second;
    EXPECT_FALSE(compileWithCache(blocked));
    EXPECT_EQ(bytesOf(blocked), std::vector<char>{'x'});

    const fs::path readOnly = folder.path() / "read-only";
    fs::create_directory(readOnly);
    fs::permissions(readOnly, fs::perms::owner_read | fs::perms::owner_exec);
    compileWithCache(readOnly);
    fs::permissions(readOnly, fs::perms::owner_all);
}

TEST_F(PipelinesTest, oneVariantIsCompiledOnce) {
    auto pipelines = Pipelines::create(*device_);
    ASSERT_TRUE(pipelines.ok());
    Variant variant;
    variant.kernel = Kernel::Head;
    variant.constants[0] = 64;
    variant.constants[1] = 1;
    const auto first = (*pipelines)->get(variant), second = (*pipelines)->get(variant);
    ASSERT_TRUE(first.ok()) << first.status().message();
    ASSERT_TRUE(second.ok());
    EXPECT_EQ(*first, *second);
    EXPECT_EQ((*pipelines)->count(), 1u);
}

Variant headWith(uint32_t localSize) {
    Variant variant;
    variant.kernel = Kernel::Head;
    variant.constants[0] = localSize;
    variant.constants[1] = 1;
    return variant;
}

TEST_F(PipelinesTest, threadsThatAskAtOnceShareEachPipeline) {
    auto pipelines = Pipelines::create(*device_);
    ASSERT_TRUE(pipelines.ok());
    const std::vector<Variant> variants = {headWith(8), headWith(16), headWith(32), headWith(64)};
    constexpr size_t kThreads = 4;
    std::vector<std::vector<const Pipeline*>> seen(kThreads);
    std::vector<std::thread> threads;
    for (size_t i = 0; i < kThreads; ++i) {
        threads.emplace_back([&, i] {
            for (const Variant& variant : variants) {
                const auto pipeline = (*pipelines)->get(variant);
                seen[i].push_back(pipeline.ok() ? *pipeline : nullptr);
            }
        });
    }
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ((*pipelines)->count(), variants.size());
    for (const auto& one : seen) EXPECT_EQ(one, seen[0]);
    EXPECT_EQ(std::ranges::count(seen[0], nullptr), 0);
}

TEST_F(PipelinesTest, preparingReportsEveryVariantInOrderAndCanBeCancelledAtEach) {
    const std::vector<Variant> variants = {headWith(8), headWith(16), headWith(32), headWith(64)};
    for (size_t last = 1; last <= variants.size(); ++last) {
        auto pipelines = Pipelines::create(*device_);
        ASSERT_TRUE(pipelines.ok());
        std::vector<size_t> reported;
        const Status status = (*pipelines)->prepare(variants, [&](size_t done) {
            reported.push_back(done);
            return done < last;
        });
        EXPECT_EQ(status.code(), StatusCode::Cancelled);
        ASSERT_EQ(reported.size(), last);
        for (size_t i = 0; i < last; ++i) EXPECT_EQ(reported[i], i + 1);
    }
}

TEST_F(PipelinesTest, whatProgressThrowsComesOutOnceNoThreadWorksAnyMore) {
    auto pipelines = Pipelines::create(*device_);
    ASSERT_TRUE(pipelines.ok());
    const std::vector<Variant> variants = {headWith(8), headWith(16), headWith(32), headWith(64)};
    const auto throwAtOnce = [](size_t) -> bool { throw std::length_error("of the caller"); };
    EXPECT_THROW((void)(*pipelines)->prepare(variants, throwAtOnce), std::length_error);
    // and none is left half done
    EXPECT_TRUE((*pipelines)->prepare(variants).ok());
    EXPECT_EQ((*pipelines)->count(), variants.size());
}

TEST_F(PipelinesTest, preparingFailsWithTheFirstVariantThatFails) {
    auto pipelines = Pipelines::create(*device_);
    ASSERT_TRUE(pipelines.ok());
    const std::vector<Variant> variants = {headWith(8), headWith(1 << 20), headWith(16), headWith(1 << 21)};
    const Status status = (*pipelines)->prepare(variants);
    EXPECT_EQ(status.code(), StatusCode::Unsupported);
    EXPECT_NE(status.message().find("1048576"), std::string::npos) << status.message();
    // and what failed is forgotten: the next to ask gets the same answer, and does not wait
    EXPECT_EQ((*pipelines)->get(variants[1]).status().code(), StatusCode::Unsupported);
}

TEST_F(PipelinesTest, whatTheDeviceCannotRunIsRefusedBeforeTheDriverSeesIt) {
    auto pipelines = Pipelines::create(*device_);
    ASSERT_TRUE(pipelines.ok());
    Variant variant;
    variant.kernel = Kernel::Head;
    variant.constants[0] = 1 << 20;
    variant.constants[1] = 1;
    const auto tooLarge = (*pipelines)->get(variant);
    ASSERT_FALSE(tooLarge.ok());
    EXPECT_EQ(tooLarge.status().code(), StatusCode::Unsupported);
    EXPECT_NE(tooLarge.status().message().find("1048576"), std::string::npos) << tooLarge.status().message();
    variant.constants[0] = 64;
    variant.method = Method::SplitK;
    EXPECT_EQ((*pipelines)->get(variant).status().code(), StatusCode::Unsupported) << "no such module";
}

}  // namespace
}  // namespace dunlin::vulkan
