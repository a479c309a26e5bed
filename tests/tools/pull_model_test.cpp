// Pulling a model, with libcurl from a server of this machine that misbehaves as told.
#include "tools/dunlin/pull_model.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <sstream>
#include <thread>

#include "tests/tools/pull_server.h"
#include "tools/dunlin/sha256.h"

namespace dunlin::cli {
namespace {

namespace fs = std::filesystem;
using test::noise;
using Ranges = std::vector<std::string>;

using test::contentOf;

class PullModel : public ::testing::Test {
  protected:
    PullModel() {
        test::forgetNetworkSettings();
        settings_.folder = folder_.path() / "models";
        settings_.quiet = true;
        settings_.firstPause = std::chrono::milliseconds(1);
    }

    ModelSource source(const std::string& url, const std::string& content) const {
        ModelSource source;
        source.name = "net";
        source.url = url;
        source.file = "model.safetensors";
        source.sha256 = sha256Of(content);
        source.licence = "MIT";
        source.publisher = "the test";
        source.config = "{\"architecture\": \"x\"}\n";
        return source;
    }

    Outcome<PulledModel> pull(const ModelSource& source) const {
        const auto downloader = makeCurlDownloader(curl_);
        EXPECT_TRUE(downloader.ok());
        return pullModel(source, settings_, **downloader);
    }
    void expectPulled(const ModelSource& source, const std::string& content) const {
        const Outcome<PulledModel> pulled = pull(source);
        ASSERT_TRUE(pulled.ok()) << pulled.failure().message;
        EXPECT_EQ(pulled->record.sha256, sha256Of(content));
        EXPECT_EQ(contentOf(weights()), content);
        EXPECT_FALSE(fs::exists(part()));
        EXPECT_FALSE(fs::exists(part() + ".json"));
    }
    void expectFailure(const ModelSource& source, const std::string& mentions) const {
        SCOPED_TRACE(source.url);
        const Outcome<PulledModel> pulled = pull(source);
        ASSERT_FALSE(pulled.ok());
        EXPECT_EQ(pulled.failure().status, ExitStatus::BadInput);
        EXPECT_NE(pulled.failure().message.find(mentions), std::string::npos) << pulled.failure().message;
        EXPECT_FALSE(fs::exists(weights())) << "nothing unfinished may stand under the last name";
        EXPECT_FALSE(readPullRecord(settings_.folder / "net").ok());
    }

    fs::path weights() const { return settings_.folder / "net" / "model.safetensors"; }
    std::string part() const { return weights().string() + ".part"; }

    const test::TemporaryFolder folder_;
    const std::string content_ = noise(1'000'000);
    PullSettings settings_;
    CurlSettings curl_;
};

TEST_F(PullModel, MakesAFolderAsPublishedWithARecord) {
    const test::PullServer server(folder_);
    const ModelSource wanted = source(server.file("a.safetensors", content_), content_);
    const Outcome<PulledModel> pulled = pull(wanted);
    ASSERT_TRUE(pulled.ok()) << pulled.failure().message;
    EXPECT_FALSE(pulled->wasThere);
    EXPECT_EQ(pulled->folder, settings_.folder / "net");
    EXPECT_EQ(contentOf(weights()), content_);
    EXPECT_EQ(contentOf(pulled->folder / "config.json"), wanted.config);
    const Outcome<PullRecord> record = readPullRecord(pulled->folder);
    ASSERT_TRUE(record.ok());
    EXPECT_EQ(record->url, wanted.url);
    EXPECT_EQ(record->sha256, wanted.sha256);
    EXPECT_EQ(record->bytes, content_.size());
    EXPECT_EQ(record->licence, "MIT");
    EXPECT_EQ(server.ranges(), Ranges{""});
}

TEST_F(PullModel, FindsWhatIsThereWithoutAskingTheServer) {
    const test::PullServer server(folder_);
    const ModelSource wanted = source(server.file("a.safetensors", content_), content_);
    expectPulled(wanted, content_);
    const Outcome<PulledModel> again = pull(wanted);
    ASSERT_TRUE(again.ok());
    EXPECT_TRUE(again->wasThere);
    EXPECT_EQ(server.requests().size(), 1u);
    settings_.force = true;
    expectPulled(wanted, content_);
    EXPECT_EQ(server.requests().size(), 2u) << "forced";
}

TEST_F(PullModel, DownloadsAgainWhatWasDamaged) {
    const test::PullServer server(folder_);
    const ModelSource wanted = source(server.file("a.safetensors", content_), content_);
    expectPulled(wanted, content_);
    std::ofstream(weights(), std::ios::binary | std::ios::app) << "x";
    expectPulled(wanted, content_);
    EXPECT_EQ(server.requests().size(), 2u);
}

TEST_F(PullModel, TakesOverVerifiedWeightsWhoseRecordIsMissing) {
    const test::PullServer server(folder_);
    const ModelSource wanted = source(server.file("a.safetensors", content_), content_);
    expectPulled(wanted, content_);
    fs::remove(settings_.folder / "net" / kPullRecordName);
    expectPulled(wanted, content_);
    EXPECT_EQ(server.requests().size(), 1u);
}

TEST_F(PullModel, WeightsOfAnotherFormatReplaceThoseThatWereThere) {
    const test::PullServer server(folder_);
    expectPulled(source(server.file("a.safetensors", content_), content_), content_);
    const std::string other = noise(1000, 2);
    ModelSource checkpoint = source(server.file("b.pth", other), other);
    checkpoint.file = kCheckpointName;
    settings_.force = true;
    const Outcome<PulledModel> pulled = pull(checkpoint);
    ASSERT_TRUE(pulled.ok()) << pulled.failure().message;
    EXPECT_EQ(contentOf(pulled->folder / kCheckpointName), other);
    EXPECT_FALSE(fs::exists(weights())) << "it would be opened in place of what was asked for";
}

// --- names of classes

TEST_F(PullModel, PutsPublishedNamesOfClassesIntoTheConfiguration) {
    const test::PullServer server(folder_);
    ModelSource wanted = source(server.file("a.safetensors", content_), content_);
    const std::string labels = "tench\ngreat white shark\ncat";
    wanted.labelsUrl = server.file("labels.txt", labels);
    wanted.labelsSha256 = sha256Of(labels);
    expectPulled(wanted, content_);
    const auto config = nlohmann::json::parse(contentOf(settings_.folder / "net" / "config.json"));
    EXPECT_EQ(config,
              nlohmann::json::parse(R"({"architecture": "x", "label_names": ["tench", "great white shark", "cat"]})"));
}

TEST_F(PullModel, ComesWithoutNamesWhereTheyAreMissingOrOthers) {
    const test::PullServer server(folder_);
    ModelSource wanted = source(server.file("a.safetensors", content_), content_);
    wanted.labelsSha256 = sha256Of("tench");
    settings_.force = true;
    for (const std::string& url : {server.file("labels.txt", "other names"), server.url("absent.txt")}) {
        wanted.labelsUrl = url;
        expectPulled(wanted, content_);
        EXPECT_EQ(contentOf(settings_.folder / "net" / "config.json"), wanted.config);
    }
}

TEST_F(PullModel, AsksForNamesLastAndOnce) {
    const test::PullServer server(folder_);
    ModelSource wanted = source(server.file("a.safetensors", content_), content_);
    wanted.labelsUrl = server.url("labels.txt?status=503");
    wanted.labelsSha256 = sha256Of("tench");
    expectPulled(wanted, content_);
    const auto requests = server.requests();
    ASSERT_EQ(requests.size(), 2u);
    EXPECT_EQ(requests[0]["path"], "/a.safetensors");
}

TEST_F(PullModel, TheNextPullCompletesTheConfiguration) {
    const test::PullServer server(folder_);
    ModelSource wanted = source(server.file("a.safetensors", content_), content_);
    server.file("labels.txt", "tench");
    wanted.labelsUrl = server.url("labels.txt?status=503&times=1");
    wanted.labelsSha256 = sha256Of("tench");
    expectPulled(wanted, content_);
    const fs::path config = settings_.folder / "net" / "config.json";
    EXPECT_EQ(contentOf(config), wanted.config) << "no names yet";
    const auto whole = nlohmann::json::parse(R"({"architecture": "x", "label_names": ["tench"]})");
    const auto expectCompleted = [&] {
        expectPulled(wanted, content_);
        EXPECT_EQ(nlohmann::json::parse(contentOf(config)), whole);
    };
    expectCompleted();
    std::ofstream(config) << "{broken";
    expectCompleted();
    fs::remove(config);
    expectCompleted();
    const size_t before = server.requests().size();
    expectCompleted();
    EXPECT_EQ(server.requests().size(), before) << "nothing is missing any more";
    size_t weights = 0;
    for (const auto& request : server.requests()) weights += request["path"] == "/a.safetensors";
    EXPECT_EQ(weights, 1u);
}

// --- hashes

TEST_F(PullModel, TakesTheFirstDigitsOfAHashAndWritesDownAllOfThem) {
    const test::PullServer server(folder_);
    ModelSource wanted = source(server.file("a.safetensors", content_), content_);
    wanted.sha256.resize(8);
    expectPulled(wanted, content_);
    EXPECT_EQ(readPullRecord(settings_.folder / "net")->sha256, sha256Of(content_));
}

TEST_F(PullModel, RemovesAFileWithAnotherHashAndTellsBoth) {
    const test::PullServer server(folder_);
    const ModelSource wanted = source(server.file("a.safetensors", content_), "something else");
    expectFailure(wanted, sha256Of(content_));
    expectFailure(wanted, wanted.sha256);
    EXPECT_FALSE(fs::exists(part()));
    EXPECT_EQ(server.ranges(), (Ranges{"", ""})) << "nothing of it may be continued";
}

TEST_F(PullModel, AnotherModelOfTheSameNameStaysUnlessForced) {
    const test::PullServer server(folder_);
    expectPulled(source(server.file("a.safetensors", content_), content_), content_);
    const std::string other = noise(1000, 2);
    const ModelSource wanted = source(server.file("b.safetensors", other), other);
    const Outcome<PulledModel> refused = pull(wanted);
    ASSERT_FALSE(refused.ok());
    EXPECT_EQ(refused.failure().status, ExitStatus::WrongUse);
    EXPECT_NE(refused.failure().message.find("--force replaces them, --as gives"), std::string::npos)
        << refused.failure().message;
    EXPECT_EQ(contentOf(weights()), content_);
    settings_.force = true;
    expectPulled(wanted, other);
}

TEST_F(PullModel, WeightsThatDoNotOpenReplaceNothing) {
    const test::PullServer server(folder_);
    expectPulled(source(server.file("a.safetensors", content_), content_), content_);
    const std::string other = noise(1000, 2);
    const ModelSource wanted = source(server.file("b.safetensors", other), other);
    settings_.force = true;
    settings_.opens = [&](const fs::path& folder) -> Check {
        EXPECT_EQ(contentOf(folder / kSafetensorsName), other);
        EXPECT_EQ(contentOf(folder / "config.json"), wanted.config);
        return Failure{ExitStatus::BadInput, "no model"};
    };
    const Outcome<PulledModel> refused = pull(wanted);
    ASSERT_FALSE(refused.ok());
    EXPECT_EQ(refused.failure().message, "no model; it was removed");
    EXPECT_EQ(contentOf(weights()), content_);
    EXPECT_EQ(readPullRecord(settings_.folder / "net")->sha256, sha256Of(content_));
    EXPECT_FALSE(fs::exists(part()));
}

TEST_F(PullModel, AFewDigitsDoNotMakeAnotherAddressTheSameModel) {
    const test::PullServer server(folder_);
    expectPulled(source(server.file("a.safetensors", content_), content_), content_);
    ModelSource moved = source(server.file("b.safetensors", content_), content_);
    expectPulled(moved, content_);
    EXPECT_EQ(server.requests().size(), 1u) << "the whole hash does";
    moved.sha256.resize(8);
    const Outcome<PulledModel> refused = pull(moved);
    ASSERT_FALSE(refused.ok());
    EXPECT_EQ(refused.failure().status, ExitStatus::WrongUse);
}

// --- cut connections

TEST_F(PullModel, ContinuesACutDownloadWhereItWasCut) {
    const test::PullServer server(folder_);
    server.file("a.safetensors", content_);
    expectPulled(source(server.url("a.safetensors?cut=300000&times=2"), content_), content_);
    EXPECT_EQ(server.ranges(), (Ranges{"", "bytes=300000-", "bytes=600000-"}));
    const auto requests = server.requests();
    EXPECT_TRUE(requests[0]["if_range"].is_null());
    EXPECT_TRUE(requests[1]["if_range"].is_string()) << "only of the same version";
}

TEST_F(PullModel, ContinuesInTheNextPull) {
    const test::PullServer server(folder_);
    server.file("a.safetensors", content_);
    settings_.attempts = 1;
    const ModelSource wanted = source(server.url("a.safetensors?cut=300000&times=1"), content_);
    expectFailure(wanted, "293 KiB are kept");
    EXPECT_EQ(fs::file_size(part()), 300000u);
    expectPulled(wanted, content_);
    EXPECT_EQ(server.ranges(), (Ranges{"", "bytes=300000-"}));
}

TEST_F(PullModel, GivesUpAfterAFewAttemptsThatBringNothing) {
    const test::PullServer server(folder_);
    server.file("a.safetensors", content_);
    settings_.attempts = 3;
    expectFailure(source(server.url("a.safetensors?cut=0"), content_), "after 3 attempts");
    EXPECT_EQ(server.requests().size(), 3u);
}

TEST_F(PullModel, GivesUpOnVersionsThatTakeTurns) {
    const test::PullServer server(folder_);
    server.file("a.safetensors", content_);
    // Each request finds the other version and, If-Range or not, brings 300000 bytes at most.
    for (const std::string how : {"&ifrange=0", "&ranges=0"}) {
        const size_t before = server.requests().size();
        expectFailure(source(server.url("a.safetensors?etag=turns&cut=300000" + how), content_), "a.safetensors");
        EXPECT_LE(server.requests().size() - before, 8u);
    }
}

TEST_F(PullModel, AnEndBeforeTheKnownLengthIsACut) {
    const test::PullServer server(folder_);
    server.file("a.safetensors", content_);
    ModelSource wanted = source(server.url("a.safetensors?claim=close&cut=300000&times=1"), content_);
    wanted.bytes = content_.size();
    expectPulled(wanted, content_);
    EXPECT_EQ(server.ranges(), (Ranges{"", "bytes=300000-"}));
}

TEST_F(PullModel, TellsThatAFileOfUnknownLengthMayHaveBeenCut) {
    const test::PullServer server(folder_);
    server.file("a.safetensors", content_);
    expectFailure(source(server.url("a.safetensors?claim=close&cut=300000"), content_), "it may have been cut");
}

TEST_F(PullModel, StartsAgainWhereTheFileHasChanged) {
    const test::PullServer server(folder_);
    const std::string other = noise(1'000'000, 2);
    for (const std::string ifRange : {"1", "0"}) {  // 0: the server goes on with the new version
        SCOPED_TRACE(ifRange);
        const std::string name = "a" + ifRange + ".safetensors";
        server.file(name, content_);
        settings_.folder = folder_.path() / name;
        settings_.attempts = 1;
        const ModelSource wanted = source(server.url(name + "?cut=300000&times=1&ifrange=" + ifRange), other);
        expectFailure(wanted, "are kept");
        server.file(name, other);
        settings_.attempts = 2;
        expectPulled(wanted, other);
    }
    EXPECT_EQ(server.ranges(), (Ranges{"", "bytes=300000-", "", "bytes=300000-", ""}));
}

TEST_F(PullModel, StartsAgainWhereTheServerKnowsNoRanges) {
    const test::PullServer server(folder_);
    server.file("a.safetensors", content_);
    settings_.attempts = 1;
    const ModelSource wanted = source(server.url("a.safetensors?ranges=0&cut=300000&times=1"), content_);
    expectFailure(wanted, "are kept");
    expectPulled(wanted, content_);
    EXPECT_EQ(server.ranges(), (Ranges{"", "bytes=300000-"}));
}

TEST_F(PullModel, StartsAgainWhereNothingTellsVersionsApart) {
    for (const std::string etag : {"none", "weak"}) {
        SCOPED_TRACE(etag);
        const test::PullServer server(folder_);
        server.file("a.safetensors", content_);
        settings_.folder = folder_.path() / etag;
        settings_.attempts = 1;
        const ModelSource wanted = source(server.url("a.safetensors?cut=300000&times=1&etag=" + etag), content_);
        expectFailure(wanted, "are kept");
        expectPulled(wanted, content_);
        EXPECT_EQ(server.ranges(), (Ranges{"", ""}));
        fs::remove(folder_.path() / "requests0.log");
    }
}

TEST_F(PullModel, VerifiesAPartThatIsWholeWithoutDownloadingIt) {
    const test::PullServer server(folder_);
    server.file("a.safetensors", content_);
    for (const bool lengthIsKnown : {true, false}) {
        SCOPED_TRACE(lengthIsKnown);
        settings_.folder = folder_.path() / (lengthIsKnown ? "known" : "unknown");
        settings_.attempts = 1;
        const ModelSource wanted =
            source(server.url("a.safetensors?cut=999999&times=1&which=" + std::to_string(lengthIsKnown)), content_);
        expectFailure(wanted, "are kept");
        std::ofstream(part(), std::ios::binary | std::ios::app) << content_.back();
        if (!lengthIsKnown) {
            std::string origin = contentOf(part() + ".json");
            origin.replace(origin.find("1000000"), 7, "null");
            std::ofstream(part() + ".json") << origin;
        }
        const size_t before = server.requests().size();
        settings_.attempts = 2;
        expectPulled(wanted, content_);
        // Where the length is not known the server is asked for what follows, and says that nothing does.
        EXPECT_EQ(server.requests().size() - before, lengthIsKnown ? 0u : 1u);
    }
}

TEST_F(PullModel, ThrowsAwayAPartOfAnotherAddress) {
    const test::PullServer server(folder_);
    server.file("a.safetensors", noise(1'000'000, 3));
    settings_.attempts = 1;
    expectFailure(source(server.url("a.safetensors?cut=300000"), content_), "are kept");
    expectPulled(source(server.file("b.safetensors", content_), content_), content_);
    EXPECT_EQ(server.ranges(), (Ranges{"", ""}));
}

TEST_F(PullModel, GivesUpOnAServerThatStalls) {
    const test::PullServer server(folder_);
    server.file("a.safetensors", content_);
    curl_.stallTimeout = std::chrono::seconds(1);
    expectPulled(source(server.url("a.safetensors?stall=300000&times=1"), content_), content_);
    EXPECT_EQ(server.ranges(), (Ranges{"", "bytes=300000-"}));
}

// --- answers that are no file

TEST_F(PullModel, TellsWhatTheServerAnswers) {
    const test::PullServer server(folder_);
    server.file("a.safetensors", content_);
    expectFailure(source(server.url("absent.safetensors"), content_), "404: there is no such file");
    expectFailure(source(server.url("a.safetensors?status=403"), content_), "403: access is forbidden");
    EXPECT_EQ(server.requests().size(), 2u) << "these will not go better the next time";
    settings_.attempts = 2;
    expectFailure(source(server.url("a.safetensors?status=503"), content_), "503: the server has a problem");
    EXPECT_EQ(server.requests().size(), 4u);
    expectPulled(source(server.url("a.safetensors?status=503&times=1"), content_), content_);
}

TEST_F(PullModel, FollowsRedirectsButNotForeverAndNotToFiles) {
    const test::PullServer server(folder_);
    const std::string there = server.file("a.safetensors", content_);
    expectFailure(source(server.url("x?redirect=self"), content_), "redirects more than 10 times");
    EXPECT_EQ(server.requests().size(), 11u);
    expectFailure(source(server.url("x?redirect=file:///etc/passwd"), content_), "redirects to file:///etc/passwd");
    expectFailure(source(server.url("x?redirect=ftp://127.0.0.1/x"), content_), "redirects to ftp://127.0.0.1/x");
    expectPulled(source(server.url("x?redirect=" + there), content_), content_);
}

TEST_F(PullModel, RefusesPackedContent) {
    const test::PullServer server(folder_);
    server.file("a.safetensors", content_);
    expectFailure(source(server.url("a.safetensors?encoding=gzip"), content_), "packed (gzip)");
}

TEST_F(PullModel, RefusesFilesThatAreTooLarge) {
    const test::PullServer server(folder_);
    server.file("a.safetensors", content_);
    settings_.maxBytes = 999'999;
    expectFailure(source(server.url("a.safetensors"), content_), "has 1000000 bytes, the limit is 999999");
    expectFailure(source(server.url("a.safetensors?claim=none"), content_), "more than the 999999 bytes");
    EXPECT_FALSE(fs::exists(part())) << "nothing of it is of use";
    settings_.maxBytes = kMaxPullBytes;
    ModelSource published = source(server.url("a.safetensors"), content_);
    published.bytes = 500'000;
    expectFailure(published, "has 1000000 bytes, but the published one has 500000");
    published.url = server.url("a.safetensors?claim=none");
    expectFailure(published, "more than the 500000 bytes that were published");
}

TEST_F(PullModel, SurvivesWrongLengths) {
    const test::PullServer server(folder_);
    server.file("a.safetensors", content_);
    // Too long: the rest never comes, and in the end the server says so. Too short: what has come has another hash.
    expectPulled(source(server.url("a.safetensors?claim=1000100&times=1"), content_), content_);
    EXPECT_EQ(server.ranges(), (Ranges{"", "bytes=1000000-"}));
    fs::remove_all(settings_.folder);
    expectFailure(source(server.url("a.safetensors?claim=999000"), content_), "SHA-256");
    expectPulled(source(server.url("a.safetensors?claim=none"), content_), content_);
}

// --- where it is put

TEST_F(PullModel, TellsThatAFolderCannotBeMade) {
    const test::PullServer server(folder_);
    const ModelSource wanted = source(server.file("a.safetensors", content_), content_);
    settings_.folder = folder_.file("a file", "x");
    expectFailure(wanted, "the folder cannot be made");
    settings_.folder = "/proc/dunlin";  // where nobody can write, root included
    expectFailure(wanted, "/proc/dunlin/net: the folder cannot be made");
    EXPECT_EQ(server.requests().size(), 0u);
}

TEST_F(PullModel, AsksForSpaceFirst) {
    const test::PullServer server(folder_);
    const ModelSource wanted = source(server.file("a.safetensors", content_), content_);
    settings_.freeBytes = [](const fs::path&) { return 999'999; };
    expectFailure(wanted, "1000000 bytes are needed, but only 999999 are free");
    EXPECT_FALSE(fs::exists(settings_.folder / "net")) << "nothing came, so nothing stays";
    // Of a download that is continued only the rest is needed.
    settings_.attempts = 1;
    settings_.freeBytes = nullptr;
    const ModelSource cut = source(server.url("a.safetensors?cut=300000&times=1"), content_);
    expectFailure(cut, "are kept");
    settings_.freeBytes = [](const fs::path&) { return 700'000; };
    expectPulled(cut, content_);
}

TEST_F(PullModel, WhatIsThrownAwayIsFreeSpace) {
    const test::PullServer server(folder_);
    server.file("a.safetensors", content_);
    settings_.attempts = 1;
    const ModelSource wanted = source(server.url("a.safetensors?ranges=0&cut=300000&times=1"), content_);
    expectFailure(wanted, "are kept");
    settings_.freeBytes = [this](const fs::path&) { return 1'000'000 - fs::file_size(part()); };
    expectPulled(wanted, content_);
}

TEST_F(PullModel, DoesNotFollowLinksOutOfItsFolder) {
    const test::PullServer server(folder_);
    const ModelSource wanted = source(server.file("a.safetensors", content_), content_);
    const std::string outside = folder_.file("outside", "mine");
    fs::create_directories(settings_.folder / "net");
    fs::create_symlink(outside, part());
    const Outcome<PulledModel> pulled = pull(wanted);
    ASSERT_FALSE(pulled.ok());
    EXPECT_NE(pulled.failure().message.find("model.safetensors.part: cannot be written"), std::string::npos);
    EXPECT_EQ(contentOf(outside), "mine");
}

TEST_F(PullModel, ReplacesLinksInsteadOfWritingThroughThem) {
    const test::PullServer server(folder_);
    const ModelSource wanted = source(server.file("a.safetensors", content_), content_);
    const std::string outside = folder_.file("outside", "mine");
    fs::create_directories(settings_.folder / "net");
    for (const char* name : {"config.json", kPullRecordName, kSafetensorsName}) {
        fs::create_symlink(outside, settings_.folder / "net" / name);
    }
    expectPulled(wanted, content_);
    EXPECT_EQ(contentOf(outside), "mine");
    EXPECT_EQ(contentOf(settings_.folder / "net" / "config.json"), wanted.config);
    EXPECT_TRUE(readPullRecord(settings_.folder / "net").ok());
}

TEST_F(PullModel, KeepsPasswordsAndTokensToItself) {
    const test::PullServer server(folder_);
    server.file("a.safetensors", content_);
    const auto address = [&](const std::string& file) {
        std::string url = server.url(file);
        return url.insert(url.find("127"), "user:secret@");
    };
    const auto expectNone = [](const std::string& text) {
        for (const char* word : {"user", "secret", "token"}) EXPECT_EQ(text.find(word), std::string::npos) << text;
    };
    const Outcome<PulledModel> absent = pull(source(address("absent.safetensors?token=1"), content_));
    ASSERT_FALSE(absent.ok());
    expectNone(absent.failure().message);
    settings_.attempts = 1;
    const ModelSource wanted = source(address("a.safetensors?cut=300000&times=1&token=1"), content_);
    ASSERT_FALSE(pull(wanted).ok());
    expectNone(contentOf(part() + ".json"));
    expectPulled(wanted, content_);
    expectNone(contentOf(settings_.folder / "net" / kPullRecordName));
    EXPECT_EQ(readPullRecord(settings_.folder / "net")->url, server.url("a.safetensors"));
}

TEST_F(PullModel, TwoAtOnceDownloadOnce) {
    const test::PullServer server(folder_);
    server.file("a.safetensors", content_);
    const ModelSource wanted = source(server.url("a.safetensors?pause=5"), content_);
    std::optional<PulledModel> pulled[2];
    std::vector<std::thread> threads;
    for (auto& result : pulled) {
        threads.emplace_back([&] {
            Outcome<PulledModel> outcome = pull(wanted);
            if (outcome.ok()) result = *std::move(outcome);
        });
    }
    for (std::thread& thread : threads) thread.join();
    ASSERT_TRUE(pulled[0] && pulled[1]);
    EXPECT_NE(pulled[0]->wasThere, pulled[1]->wasThere);
    EXPECT_EQ(server.requests().size(), 1u);
}

// --- hub folders

TEST_F(PullModel, TakesConfigJsonFromTheHub) {
    const test::PullServer server(folder_);
    ModelSource wanted = source(server.file("a.safetensors", content_), content_);
    wanted.configUrl = server.file("config.json", "{\"from\": \"the hub\"}");
    expectPulled(wanted, content_);
    EXPECT_EQ(contentOf(settings_.folder / "net" / "config.json"), "{\"from\": \"the hub\"}");
    for (const char* broken : {"", "{\"from\": \"the h"}) {
        std::ofstream(settings_.folder / "net" / "config.json") << broken;
        expectPulled(wanted, content_);
        EXPECT_EQ(contentOf(settings_.folder / "net" / "config.json"), "{\"from\": \"the hub\"}");
    }
    settings_.force = true;
    fs::remove_all(settings_.folder);
    server.file("config.json", std::string((1 << 20) + 1, ' '));
    expectFailure(wanted, "more than 1048576 bytes");
}

// --- https

class PullModelEncrypted : public PullModel {
  protected:
    void SetUp() override {
        const std::string command =
            "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 "
            "-subj /CN=127.0.0.1 -addext subjectAltName=IP:127.0.0.1 -keyout '" +
            certificate_.key + "' -out '" + certificate_.certificate + "' 2>/dev/null";
        ASSERT_EQ(std::system(command.c_str()), 0) << "openssl makes no certificate";
    }

    const test::PullServer::Certificate certificate_ = {folder_ / "certificate.pem", folder_ / "key.pem"};
};

TEST_F(PullModelEncrypted, RefusesACertificateThatNobodyVouchesFor) {
    const test::PullServer server(folder_, certificate_);
    const ModelSource wanted = source(server.file("a.safetensors", content_), content_);
    expectFailure(wanted, "certificate is not trusted");
    EXPECT_EQ(server.requests().size(), 0u);
    curl_.certificates = certificate_.certificate;
    expectPulled(wanted, content_);
}

TEST_F(PullModelEncrypted, DoesNotFollowARedirectToPlainHttp) {
    const test::PullServer server(folder_, certificate_), plain(folder_);
    curl_.certificates = certificate_.certificate;
    const std::string there = plain.file("a.safetensors", content_);
    expectFailure(source(server.url("x?redirect=" + there), content_), "redirects to " + there);
    EXPECT_EQ(plain.requests().size(), 0u);
    expectPulled(source(plain.url("x?redirect=" + server.url("a.safetensors")), content_), content_);
}

}  // namespace
}  // namespace dunlin::cli
