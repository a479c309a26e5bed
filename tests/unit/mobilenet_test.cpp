// The MobileNets against the references; their multiply-adds are with the others' in registry_test.cpp.
#include "models/mobilenet.h"

#include "tests/unit/network_support.h"

namespace dunlin {
namespace {

TEST(Mobilenet, HasTheReferencesTensorsAndStages) {
    DUNLIN_NEEDS_SHARED("reference");
    for (const auto& [prefix, atLeast] : {std::pair{"mobilenet", 8u}, std::pair{"tf_mobilenet", 2u}}) {
        const auto references = test::referencesOf(prefix);
        EXPECT_GE(references.size(), atLeast) << prefix;
        for (const auto& path : references) test::expectStructure(path, /* isNhwc = */ false);
    }
}

TEST(Mobilenet, BuildsAtEverySize) {
    for (const Architecture& architecture : mobilenetArchitectures()) {
        SCOPED_TRACE(architecture.name);
        test::expectBuildsAtEverySize(architecture);
    }
}

}  // namespace
}  // namespace dunlin
