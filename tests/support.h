// What several test programs need: where the test data lies.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <string>

namespace dunlin::test {

// The folder of references, weights and pictures beside the checkout ($DUNLIN_SHARED or ../shared); may not exist.
inline std::filesystem::path sharedFolder() {
    if (const char* folder = std::getenv("DUNLIN_SHARED")) return folder;
    return std::filesystem::path(DUNLIN_SOURCE_DIR).parent_path() / "shared";
}

}  // namespace dunlin::test

#define DUNLIN_NEEDS_SHARED(relative)                                                                    \
    if (!std::filesystem::exists(::dunlin::test::sharedFolder() / (relative)))                           \
    GTEST_SKIP() << "needs " << (::dunlin::test::sharedFolder() / (relative)).string() << ", which is absent"
