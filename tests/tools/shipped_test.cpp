// The models inside the command: what is in models/pretrained, complete and small.
#include "tools/dunlin/shipped.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>

#include "tests/support.h"
#include "tests/tools/temporary_folder.h"
#include "tools/dunlin/library.h"

namespace dunlin::cli {
namespace {

namespace fs = std::filesystem;

const fs::path kFolder = fs::path(DUNLIN_SOURCE_DIR) / "models" / "pretrained";

using test::contentOf;

std::string textOf(std::span<const std::byte> bytes) {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

TEST(ShippedModels, AreTheFoldersOfTheProject) {
    std::set<std::string> folders, embedded;
    for (const auto& entry : fs::directory_iterator(kFolder)) folders.insert(entry.path().filename());
    for (const ShippedModel& model : shippedModels()) embedded.insert(std::string(model.name));
    EXPECT_EQ(embedded, folders);
    EXPECT_EQ(embedded, (std::set<std::string>{"digits", "photos10", "photos10_mobilevit"}));
    for (const ShippedModel& model : shippedModels()) {
        EXPECT_EQ(model.config, contentOf(kFolder / model.name / "config.json"));
        EXPECT_EQ(textOf(model.weights), contentOf(kFolder / model.name / "model.safetensors"));
    }
}

TEST(ShippedModels, HaveAtMostSixMegabytesTogether) {
    size_t bytes = 0;
    for (const ShippedModel& model : shippedModels()) bytes += model.weights.size() + model.config.size();
    EXPECT_LE(bytes, 6'000'000u);
}

TEST(ShippedModels, KnowTheirClassesLicenceAndCard) {
    for (const ShippedModel& shipped : shippedModels()) {
        const Outcome<OpenedModel> model = openModel({std::string(shipped.name), {}, {}}, {});
        ASSERT_TRUE(model.ok()) << model.failure().message;
        EXPECT_STREQ(model->info.weights, std::string(shipped.name).c_str());
        EXPECT_EQ(model->info.labelCount, model->info.classes) << shipped.name;
        EXPECT_FALSE(licenceOf(shipped).empty()) << shipped.name;
        EXPECT_TRUE(fs::exists(kFolder / shipped.name / "README.md")) << shipped.name;
    }
}

TEST(ShippedModels, AreFoundByTheirWholeNameOnly) {
    EXPECT_NE(findShippedModel("digits"), nullptr);
    for (const char* name : {"", "digit", "digitss", "Digits", "digits/"}) EXPECT_EQ(findShippedModel(name), nullptr);
}

TEST(ShippedModels, TakeNoOtherWeights) {
    const Outcome<OpenedModel> model = openModel({"digits", "synthetic", {}}, {});
    ASSERT_FALSE(model.ok());
    EXPECT_EQ(model.failure().status, ExitStatus::WrongUse);
    EXPECT_NE(model.failure().message.find("digits has weights of its own"), std::string::npos)
        << model.failure().message;
}

TEST(ShippedModels, WithoutALicenceSayNone) {
    EXPECT_EQ(licenceOf({"x", "{}", {}}), "");
    EXPECT_EQ(licenceOf({"x", "no JSON", {}}), "");
    EXPECT_EQ(licenceOf({"x", R"({"pretrained_cfg": {"license": 3}})", {}}), "");
    EXPECT_EQ(licenceOf({"x", R"({"pretrained_cfg": {"license": "mit"}})", {}}), "mit");
}

}  // namespace
}  // namespace dunlin::cli
