// Names of pulled models, and addresses as users see them.
#include "tools/dunlin/pulled_models.h"

#include <gtest/gtest.h>

namespace dunlin::cli {
namespace {

TEST(ShownUrl, HasNeitherUserNorQuery) {
    EXPECT_EQ(shownUrl("https://example.org/a@b.pth"), "https://example.org/a@b.pth");
    EXPECT_EQ(shownUrl("https://u:p@ss@example.org:1/a.pth?token=x#y"), "https://example.org:1/a.pth");
    EXPECT_EQ(shownUrl("https://u@example.org"), "https://example.org");
    EXPECT_EQ(shownUrl("hf:owner/name"), "hf:owner/name");
}

TEST(ModelName, IsNoPath) {
    for (const char* good : {"resnet50", "resnet50@torchvision", "mobilenetv3_small_100.lamb_in1k", "a-b"}) {
        EXPECT_TRUE(isModelName(good)) << good;
    }
    for (const std::string& bad :
         {std::string(), std::string("."), std::string(".."), std::string(".hidden"), std::string("a/b"),
          std::string("../a"), std::string("a\\b"), std::string("a b"), std::string("a\nb"), std::string("a\0b", 3),
          std::string(129, 'a'), std::string("mine.pth"), std::string("mine.safetensors")}) {
        EXPECT_FALSE(isModelName(bad)) << bad;
    }
}

}  // namespace
}  // namespace dunlin::cli
