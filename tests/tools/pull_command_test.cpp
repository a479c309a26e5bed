// `dunlin pull` as a user runs it, against a server of this machine.
#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>
#include <cstring>
#include <sstream>
#include <thread>

#include "tests/support.h"
#include "tests/tools/pull_server.h"
#include "tools/dunlin/sha256.h"

namespace dunlin::cli {
namespace {

namespace fs = std::filesystem;
using test::noise;
using Json = nlohmann::json;
using Words = std::vector<std::string>;
using Ranges = std::vector<std::string>;

using test::contentOf;

// A model that opens, with exactly `bytes` bytes: the space is in the header's text.
std::string modelOf(size_t bytes) {
    const std::string model = contentOf(DUNLIN_SOURCE_DIR "/models/pretrained/digits/model.safetensors");
    uint64_t header = 0;
    if (model.size() < sizeof header || model.size() > bytes) return model;
    std::memcpy(&header, model.data(), sizeof header);
    const std::string space(bytes - model.size(), ' ');
    const uint64_t longer = header + space.size();
    std::string padded(reinterpret_cast<const char*>(&longer), sizeof longer);
    return padded + model.substr(sizeof header, header) + space + model.substr(sizeof header + header);
}

std::string quoted(const std::string& word) {
    std::string text = "'";
    for (char c : word) text += c == '\'' ? std::string("'\\''") : std::string(1, c);
    return text + "'";
}

struct Result {
    int exitStatus = -1;  // 128 and more: killed by a signal
    std::string out, err;
};

class PullCommand : public ::testing::Test {
  protected:
    PullCommand() { test::forgetNetworkSettings(); }

    std::string line(const Words& words, const std::string& program = DUNLIN_COMMAND) const {
        std::string line = quoted(program);
        for (const std::string& word : words) line += " " + quoted(word);
        return line;
    }
    Result shell(const std::string& command, const std::string& name = "") const {
        const std::string out = folder_ / ("stdout" + name), err = folder_ / ("stderr" + name);
        const int status =
            std::system(("{ " + command + "; } >" + quoted(out) + " 2>" + quoted(err) + " </dev/null").c_str());
        return {WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status), contentOf(out), contentOf(err)};
    }
    // In a cache of this test's own.
    Words pull(const std::string& url, const std::string& content, const std::string& as = "net") const {
        return {"pull", url, "--sha256", sha256Of(content), "--as", as, "--cache", cache_};
    }
    void expectRefused(int exitStatus, const std::string& command, const std::string& mentions) const {
        SCOPED_TRACE(command);
        const Result result = shell(command);
        EXPECT_EQ(result.exitStatus, exitStatus) << result.err;
        EXPECT_EQ(result.out, "");
        EXPECT_NE(result.err.find(mentions), std::string::npos) << result.err;
    }
    fs::path model(const std::string& name = "net") const { return fs::path(cache_) / "models" / name; }
    std::string part() const { return (model() / "model.safetensors.part").string(); }
    void waitFor(const std::function<bool()>& condition) const {
        using namespace std::chrono_literals;
        const auto end = std::chrono::steady_clock::now() + 20s;
        while (!condition() && std::chrono::steady_clock::now() < end) std::this_thread::sleep_for(10ms);
        ASSERT_TRUE(condition());
    }

    const test::TemporaryFolder folder_;
    const std::string cache_ = folder_ / "cache";
    const std::string content_ = modelOf(1'000'000);
};

// --- what can be opened

class PullCommandWithWeights : public PullCommand {
  protected:
    void SetUp() override {
        DUNLIN_NEEDS_SHARED("weights/torchvision_mobilenet_v2.pth");
        weights_ = contentOf(test::sharedFolder() / "weights" / "torchvision_mobilenet_v2.pth");
    }
    const std::string picture_ = DUNLIN_SOURCE_DIR "/tests/tools/data/rgb.jpg";
    std::string weights_;
};

TEST_F(PullCommandWithWeights, PulledModelsAreOpenedByTheirNames) {
    const test::PullServer server(folder_);
    const std::string url = server.file("mobilenet_v2.pth", weights_);
    const Words classify = {"classify", "net", picture_, "--device", "cpu", "--json", "--cache", cache_};
    EXPECT_EQ(shell(line(classify)).exitStatus, 2) << "not there yet";
    const Result pulled = shell(line(pull(url, weights_)));
    ASSERT_EQ(pulled.exitStatus, 0) << pulled.err;
    EXPECT_NE(pulled.out.find("net is here"), std::string::npos) << pulled.out;
    EXPECT_NE(pulled.out.find(sha256Of(weights_) + " (as given)"), std::string::npos) << pulled.out;
    EXPECT_NE(pulled.err.find("is not encrypted"), std::string::npos) << pulled.err;
    EXPECT_TRUE(fs::exists(model() / "pytorch_model.bin")) << "as the hub calls a checkpoint";

    const Result classified = shell(line(classify));
    ASSERT_EQ(classified.exitStatus, 0) << classified.err;
    const fs::path file = test::sharedFolder() / "weights" / "torchvision_mobilenet_v2.pth";
    const Result direct =
        shell(line({"classify", file.string(), picture_, "--device", "cpu", "--json", "--cache", "none"}));
    EXPECT_EQ(Json::parse(classified.out)["images"], Json::parse(direct.out)["images"]);
    EXPECT_EQ(shell(line({"inspect", "net", "--device", "cpu", "--cache", cache_})).exitStatus, 0);
    EXPECT_EQ(shell(line({"inspect", "net", "--device", "cpu", "--cache", "none"})).exitStatus, 2)
        << "only in the cache that is asked for";
}

TEST_F(PullCommandWithWeights, ANameOfTheRegistryMeansThePulledWeightsUnlessOthersAreGiven) {
    const test::PullServer server(folder_);
    const std::string url = server.file("mobilenet_v2.pth", weights_);
    Words inspect = {"inspect", "mobilenetv2_100", "--device", "cpu", "--json", "--cache", cache_};
    expectRefused(2, line(inspect), "`dunlin pull mobilenetv2_100` downloads published ones");
    for (const char* cannot : {"without a cache", "without libcurl"}) {
        SCOPED_TRACE(cannot);
        Words words = inspect;
        const bool noCache = cannot == std::string("without a cache");
        if (noCache) words.back() = "none";
        const Result result = shell(line(words, noCache ? DUNLIN_COMMAND : DUNLIN_WITHOUT_DOWNLOAD));
        EXPECT_EQ(result.exitStatus, 2);
        EXPECT_EQ(result.err.find("dunlin pull"), std::string::npos) << result.err;
    }
    ASSERT_EQ(shell(line(pull(url, weights_, "mobilenetv2_100"))).exitStatus, 0);
    const Result pulled = shell(line(inspect));
    ASSERT_EQ(pulled.exitStatus, 0) << pulled.err;
    inspect.insert(inspect.end(), {"--weights", "synthetic"});
    const Result synthetic = shell(line(inspect));
    ASSERT_EQ(synthetic.exitStatus, 0) << synthetic.err;
    EXPECT_EQ(Json::parse(pulled.out)["weightsBytes"], weights_.size());
    EXPECT_NE(Json::parse(synthetic.out)["weightsBytes"], weights_.size());
}

TEST_F(PullCommandWithWeights, PrintsJson) {
    const test::PullServer server(folder_);
    const Words words = pull(server.file("mobilenet_v2.pth", weights_), weights_);
    for (const bool wasThere : {false, true}) {
        Words json = words;
        json.push_back("--json");
        json.push_back("--quiet");
        const Result result = shell(line(json));
        ASSERT_EQ(result.exitStatus, 0) << result.err;
        EXPECT_EQ(result.err, "");
        const Json document = Json::parse(result.out);
        EXPECT_EQ(document["path"], model().string());
        EXPECT_EQ(document["sha256"], sha256Of(weights_));
        EXPECT_EQ(document["bytes"], weights_.size());
        EXPECT_TRUE(document["licence"].is_null());
        EXPECT_EQ(document["wasThere"], wasThere);
    }
    EXPECT_EQ(server.requests().size(), 1u);
}

TEST_F(PullCommandWithWeights, PullsAHubFolder) {
    DUNLIN_NEEDS_SHARED("weights/mobilenetv2_100.tf/config.json");
    const fs::path published = test::sharedFolder() / "weights" / "mobilenetv2_100.tf";
    const std::string weights = contentOf(published / "model.safetensors");
    const std::string config = contentOf(published / "config.json");
    const test::PullServer server(folder_);
    server.file("owner/repository/resolve/main/model.safetensors", weights);
    server.file("owner/repository/resolve/main/config.json", config);
    const std::string endpoint = "HF_ENDPOINT=" + quoted(server.url("") + "/") + " ";
    const Result result =
        shell(endpoint + line({"pull", "hf:owner/repository", "--sha256", sha256Of(weights), "--cache", cache_}));
    ASSERT_EQ(result.exitStatus, 0) << result.err;
    EXPECT_EQ(contentOf(model("repository") / "config.json"), config);
    EXPECT_EQ(shell(line({"inspect", "repository", "--device", "cpu", "--cache", cache_})).exitStatus, 0);
}

TEST_F(PullCommand, TellsThatAFileIsNoModel) {
    const test::PullServer server(folder_);
    const std::string content = noise(1000);
    expectRefused(3, line(pull(server.file("a.safetensors", content), content)), "cannot be opened");
    EXPECT_FALSE(fs::exists(model())) << "what is of no use is not kept";
}

// --- two at once, signals, a full disk

TEST_F(PullCommand, TwoProcessesDownloadOnce) {
    const test::PullServer server(folder_);
    server.file("a.safetensors", content_);
    const Words words = pull(server.url("a.safetensors?pause=200"), content_);
    std::thread first([&] { shell(line(words), "1"); });
    waitFor([&] { return fs::exists(part()); });
    const Result second = shell(line(words), "2");
    first.join();
    EXPECT_NE(second.err.find("another dunlin is pulling net; waiting until it is done"), std::string::npos)
        << second.err;
    EXPECT_EQ(server.requests().size(), 1u);
    EXPECT_EQ(contentOf(model() / "model.safetensors"), content_);
}

TEST_F(PullCommand, WhatWasInterruptedIsContinued) {
    for (const int signal : {SIGINT, SIGKILL}) {
        SCOPED_TRACE(signal);
        const test::PullServer server(folder_);
        server.file("a.safetensors", content_);
        const Words words = pull(server.url("a.safetensors?stall=500000&times=1"), content_);
        const pid_t process = fork();
        if (process == 0) {
            if (std::freopen("/dev/null", "w", stderr) == nullptr) _exit(126);
            ::signal(SIGINT, SIG_DFL);  // nohup and some shells have it ignored
            std::vector<char*> arguments = {const_cast<char*>(DUNLIN_COMMAND)};
            for (const std::string& word : words) arguments.push_back(const_cast<char*>(word.c_str()));
            arguments.push_back(nullptr);
            execv(DUNLIN_COMMAND, arguments.data());
            _exit(127);
        }
        std::error_code ignored;
        waitFor([&] { return fs::exists(part()) && fs::file_size(part(), ignored) == 500000; });
        kill(process, signal);
        int status = 0;
        waitpid(process, &status, 0);
        EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == signal);
        EXPECT_EQ(fs::file_size(part()), 500000u);
        EXPECT_FALSE(fs::exists(model() / "model.safetensors"));
        const Result second = shell(line(words));
        EXPECT_NE(second.err.find("are here already and are continued"), std::string::npos) << second.err;
        EXPECT_EQ(contentOf(model() / "model.safetensors"), content_);
        EXPECT_EQ(server.ranges(), (Ranges{"", "bytes=500000-"}));
        fs::remove_all(cache_);
        fs::remove(folder_ / "requests0.log");
    }
}

// A limit on the size of files stands for a full disk: write() fails halfway in the same way, with another reason.
TEST_F(PullCommand, AFullDiskLeavesWhatCanBeContinued) {
    const test::PullServer server(folder_);
    const Words words = pull(server.file("a.safetensors", content_), content_);
    // In blocks of 512 or 1024 bytes, as the shell has it.
    const Result full = shell("trap '' XFSZ; ulimit -f 512; " + line(words));
    EXPECT_EQ(full.exitStatus, 3);
    EXPECT_NE(full.err.find("model.safetensors.part: cannot be written: "), std::string::npos) << full.err;
    EXPECT_NE(full.err.find("of 1000000 bytes are here and kept"), std::string::npos) << full.err;
    const auto kept = fs::file_size(part());
    EXPECT_TRUE(kept == 512 * 512 || kept == 512 * 1024) << kept;
    shell(line(words));
    EXPECT_EQ(contentOf(model() / "model.safetensors"), content_);
    EXPECT_EQ(server.ranges(), (Ranges{"", "bytes=" + std::to_string(kept) + "-"}));
}

// Root may write everywhere, so it becomes somebody else.
const std::string kNobody = geteuid() == 0 ? "setpriv --reuid=65534 --regid=65534 --clear-groups " : "";

TEST_F(PullCommand, FindsAModelInACacheThatCannotBeWritten) {
    if (shell(kNobody + line({"--version"})).exitStatus != 0)
        GTEST_SKIP() << "setpriv cannot run dunlin as another user";
    const test::PullServer server(folder_);
    const Words words = pull(server.file("a.safetensors", content_), content_);
    ASSERT_EQ(shell(line(words)).exitStatus, 0);
    const fs::perms mayRead =
        fs::perms::owner_read | fs::perms::owner_exec | fs::perms::others_read | fs::perms::others_exec;
    fs::permissions(folder_.path(), mayRead, fs::perm_options::add);
    fs::permissions(model(), mayRead);
    fs::permissions(model() / ".lock", fs::perms::owner_read);
    const Result again = shell(kNobody + line(words));
    EXPECT_EQ(again.exitStatus, 0) << again.err;
    EXPECT_NE(again.out.find("here already"), std::string::npos) << again.out;
    EXPECT_EQ(server.requests().size(), 1u);
    fs::permissions(model(), fs::perms::owner_all);
}

TEST_F(PullCommand, TellsThatTheCacheCannotBeWritten) {
    if (shell(kNobody + line({"--version"})).exitStatus != 0)
        GTEST_SKIP() << "setpriv cannot run dunlin as another user";
    fs::create_directories(cache_);
    fs::permissions(cache_,
                    fs::perms::owner_read | fs::perms::owner_exec | fs::perms::others_read | fs::perms::others_exec);
    expectRefused(3, kNobody + line(pull("https://127.0.0.1:1/a.safetensors", content_)),
                  "cannot be made: Permission denied");
    fs::permissions(cache_, fs::perms::owner_all);
}

// --- proxies

TEST_F(PullCommand, GoesThroughTheProxyThatTheEnvironmentNames) {
    const test::PullServer server(folder_);
    const Words words = pull(server.file("a.safetensors", content_), content_);
    const std::string proxy = server.url("");
    shell("http_proxy=" + proxy + " " + line(words));
    EXPECT_EQ(contentOf(model() / "model.safetensors"), content_);
    ASSERT_EQ(server.requests().size(), 2u);
    EXPECT_EQ(server.requests()[0]["kind"], "proxy");
    fs::remove_all(cache_);
    shell("http_proxy=" + proxy + " NO_PROXY=127.0.0.1 " + line(words));
    EXPECT_EQ(contentOf(model() / "model.safetensors"), content_);
    EXPECT_EQ(server.requests().size(), 3u) << "straight";
}

TEST_F(PullCommand, TellsWhatIsWrongWithAProxy) {
    const test::PullServer server(folder_);
    const Words words = pull("https://example.org/a.safetensors", content_);
    expectRefused(3, "https_proxy=http://user:secret@127.0.0.1:" + std::to_string(server.port()) + " " + line(words),
                  "the proxy http://127.0.0.1:" + std::to_string(server.port()) + " answers CONNECT with 403");
    EXPECT_EQ(contentOf(folder_ / "stderr").find("secret"), std::string::npos) << "a password is nobody's business";
    // What libcurl says of these has the password in it.
    for (const std::string proxy : {"nothing://user:secret@127.0.0.1:1", "http://user:secret@127.0.0.1:port"}) {
        expectRefused(3, "https_proxy=" + proxy + " " + line(words), "the proxy ");
        EXPECT_EQ(contentOf(folder_ / "stderr").find("secret"), std::string::npos);
    }
}

// --- certificates

TEST_F(PullCommand, TrustsTheCertificatesThatTheEnvironmentNames) {
    const test::PullServer::Certificate certificate = {folder_ / "certificate.pem", folder_ / "key.pem"};
    const std::string command =
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 "
        "-subj /CN=127.0.0.1 -addext subjectAltName=IP:127.0.0.1 -keyout " +
        quoted(certificate.key) + " -out " + quoted(certificate.certificate) + " 2>/dev/null";
    ASSERT_EQ(std::system(command.c_str()), 0) << "openssl makes no certificate";
    const test::PullServer server(folder_, certificate);
    const Words words = pull(server.file("a.safetensors", content_), content_);
    expectRefused(3, line(words), "certificate is not trusted");
    expectRefused(3, "CURL_CA_BUNDLE=/nonexistent.pem " + line(words),
                  "the certificates to trust cannot be read: /nonexistent.pem; install ca-certificates or set "
                  "CURL_CA_BUNDLE");
    for (const std::string variable : {"SSL_CERT_FILE", "CURL_CA_BUNDLE"}) {
        shell(variable + "=" + quoted(certificate.certificate) + " " + line(words));
        EXPECT_EQ(contentOf(model() / "model.safetensors"), content_) << variable;
        fs::remove_all(cache_);
    }
}

// --- wrong use

TEST_F(PullCommand, RefusesWrongUse) {
    const std::string hash = sha256Of("");
    expectRefused(2, line({"pull"}), "MODEL is missing");
    expectRefused(2, line({"pull", "--list", "resnet50"}), "takes none");
    expectRefused(2, line({"pull", "mobilenetv3_smal_100"}), "the nearest names are mobilenetv3_small_100");
    expectRefused(2, line({"pull", "https://127.0.0.1/a.safetensors"}), "its hash is not known; give it with --sha256");
    expectRefused(2, line({"pull", "digits"}), "digits ships with dunlin");
    expectRefused(2, line({"pull", "hf:owner/name"}), "give it with --sha256");
    expectRefused(2, line({"pull", "hf:name", "--sha256", hash}), "is not hf:OWNER/REPOSITORY");
    expectRefused(2, line({"pull", "hf:a/../b", "--sha256", hash}), "is not hf:OWNER/REPOSITORY");
    expectRefused(2, line({"pull", "ftp://127.0.0.1/a.pth", "--sha256", hash}), "only https:// and http://");
    expectRefused(2, line({"pull", "https://127.0.0.1/a.pth", "--sha256", "12345678"}), "is not 64 hexadecimal digits");
    expectRefused(2, line({"pull", "resnet50", "--sha256", hash}), "have another hash");
    for (const char* name : {"../x", "a/b", "..", ".lock", "mine.pth", "mine.safetensors"}) {
        expectRefused(2, line({"pull", "https://127.0.0.1/a.pth", "--sha256", hash, "--as", name}),
                      "cannot be the model's name");
    }
    expectRefused(2, line({"pull", "https://127.0.0.1/%2e%2e", "--sha256", hash}), "cannot be the model's name");
    expectRefused(2, line({"pull", "resnet50", "--cache", "none"}), "no cache folder");
}

TEST_F(PullCommand, ListsWhatIsKnown) {
    const Result table = shell(line({"pull", "--list"}));
    EXPECT_EQ(table.exitStatus, 0);
    EXPECT_NE(table.out.find("mobilenetv3_small_100 "), std::string::npos);
    EXPECT_NE(table.out.find("non-commercial"), std::string::npos);
    const Json document = Json::parse(shell(line({"pull", "--list", "--json"})).out);
    EXPECT_GE(document["weights"].size(), 25u);
    EXPECT_EQ(document["weights"][0]["licence"], "Apache-2.0");
}

TEST_F(PullCommand, ABuildWithoutLibcurlSaysSo) {
    const std::string hash = sha256Of("");
    expectRefused(2, line({"pull", "resnet50", "--cache", cache_}, DUNLIN_WITHOUT_DOWNLOAD),
                  "dunlin: this dunlin was built without libcurl, so it cannot download\n");
    EXPECT_EQ(shell(line({"pull", "--list"}, DUNLIN_WITHOUT_DOWNLOAD)).exitStatus, 0);
}

}  // namespace
}  // namespace dunlin::cli
