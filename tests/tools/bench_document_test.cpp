// Documents of the benchmark: what is written is what is read, and what is no document is refused.
#include <gtest/gtest.h>

#include <fstream>
#include <functional>

#include "tests/tools/temporary_folder.h"
#include "tools/bench/document.h"

namespace dunlin::bench {
namespace {

Json smallDocument() {
    Json document = newDocument("kernels");
    document["devices"].push_back({{"id", "vulkan:0"}, {"name", "a device"}});
    document["results"].push_back({{"id", "pool/7x7x96"}, {"device", "vulkan:0"}});
    return document;
}

class BenchDocument : public ::testing::Test {
  protected:
    std::filesystem::path file() const { return folder_.path() / "a.json"; }
    void writeText(const std::string& text) const { std::ofstream(file()) << text; }
    std::string refusal() const {
        const cli::Outcome<Json> document = readDocument(file());
        if (document.ok()) return "accepted";
        EXPECT_EQ(document.failure().status, cli::ExitStatus::BadInput);
        EXPECT_TRUE(document.failure().message.starts_with(file().string() + ": ")) << document.failure().message;
        return document.failure().message.substr(file().string().size() + 2);
    }
    // What is said of a document that was changed in one place.
    std::string refusalAfter(const std::function<void(Json&)>& change) const {
        Json document = smallDocument();
        change(document);
        writeText(document.dump());
        return refusal();
    }

  private:
    test::TemporaryFolder folder_;
};

TEST_F(BenchDocument, whatWasWrittenIsRead) {
    const Json document = smallDocument();
    ASSERT_FALSE(writeDocument(document, file()));
    const cli::Outcome<Json> read = readDocument(file());
    ASSERT_TRUE(read.ok()) << read.failure().message;
    EXPECT_EQ(*read, document);
}

TEST_F(BenchDocument, aNewOneSaysWhatMadeIt) {
    const Json document = newDocument("model");
    EXPECT_EQ(document["kind"], "model");
    EXPECT_EQ(document["format"], kFormat);
    EXPECT_EQ(document["date"].get<std::string>().size(), std::string("2026-11-22T09:00:00Z").size());
    EXPECT_GE(document["host"]["cpus"], 1);
}

TEST_F(BenchDocument, whatIsNoDocumentIsRefused) {
    EXPECT_NE(refusal(), "accepted");  // absent
    writeText("");
    EXPECT_EQ(refusal(), "not a JSON document");
    writeText("[1, 2]");
    EXPECT_EQ(refusal(), "not a result of `dunlin bench` (it has no format)");
    writeText(smallDocument().dump().substr(0, 100));
    EXPECT_EQ(refusal(), "not a JSON document");
    writeText(std::string(1000000, '['));
    EXPECT_EQ(refusal(), "is nested deeper than 32 levels");
}

TEST_F(BenchDocument, whatHasFieldsOfAnotherKindIsRefused) {
    EXPECT_EQ(refusalAfter([](Json& d) { d["format"] = 2; }), "has format 2, and this dunlin reads 1");
    EXPECT_EQ(refusalAfter([](Json& d) { d["kind"] = "recipe"; }), "kind is none of model, kernels and shader");
    EXPECT_EQ(refusalAfter([](Json& d) { d["results"] = 1; }), "results is no list");
    EXPECT_EQ(refusalAfter([](Json& d) { d["ceilings"] = Json::array(); }), "ceilings is no object");
    EXPECT_EQ(refusalAfter([](Json& d) { d["devices"][0]["id"] = 1; }), "a device has no text id");
    EXPECT_EQ(refusalAfter([](Json& d) { d["results"][0].erase("id"); }), "results[0] has no text id");
    EXPECT_EQ(refusalAfter([](Json& d) { d["results"].push_back(d["results"][0]); }),
              "results[1] has the id pool/7x7x96 again");
    EXPECT_EQ(refusalAfter([](Json& d) { d["results"][0]["device"] = "vulkan:1"; }),
              "results[0], pool/7x7x96, names no device of the document");
}

TEST_F(BenchDocument, aFolderThatIsNotThereIsNotWrittenTo) {
    const cli::Check failure = writeDocument(smallDocument(), file().parent_path() / "absent" / "a.json");
    ASSERT_TRUE(failure);
    EXPECT_EQ(failure->status, cli::ExitStatus::BadInput);
}

}  // namespace
}  // namespace dunlin::bench
