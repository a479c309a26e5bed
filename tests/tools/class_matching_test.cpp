// Names of folders and lists, and the classes that they mean.
#include "tools/dunlin/class_matching.h"

#include <gtest/gtest.h>

namespace dunlin::cli {
namespace {

using Names = std::vector<std::string>;
using Indices = std::vector<uint32_t>;

const ClassCatalogue kAnimals{4, 0, {"cat", "dog", "Great White/Shark", "house_cat"}, {}};
// As of TensorFlow: class 0 is background.
const ClassCatalogue kWithBackground{
    4, 1, {"background", "tench", "crane", "crane"}, {"", "n01440764", "n02012849", "n03126707"}};
const ClassCatalogue kUnnamed{12, 0, {}, {}};

Outcome<ClassMatch> match(const Names& names, const ClassCatalogue& catalogue, bool folders = true) {
    return matchClasses(names, catalogue, {folders, [&](size_t i) { return "in/" + names[i]; }});
}

void expectMatch(const Names& names, const ClassCatalogue& catalogue, ClassNaming naming, const Indices& indices) {
    const Outcome<ClassMatch> found = match(names, catalogue);
    ASSERT_TRUE(found.ok()) << found.failure().message;
    EXPECT_EQ(found->naming, naming);
    EXPECT_EQ(found->classIndices, indices);
}

void expectRefused(const Names& names, const ClassCatalogue& catalogue, const std::string& message,
                   bool folders = true) {
    const Outcome<ClassMatch> found = match(names, catalogue, folders);
    ASSERT_FALSE(found.ok());
    EXPECT_EQ(found.failure().status, ExitStatus::BadInput);
    EXPECT_EQ(found.failure().message, message);
}

TEST(MatchClasses, ByLabelWhateverTheCaseAndTheSpaces) {
    expectMatch({"DOG", "cat"}, kAnimals, ClassNaming::Label, {1, 0});
    expectMatch({"great_white_shark", "House cat"}, kAnimals, ClassNaming::Label, {2, 3});
}

TEST(MatchClasses, ByWordNetId) {
    expectMatch({"n03126707", "n01440764"}, kWithBackground, ClassNaming::WordNetId, {3, 1});
}

TEST(MatchClasses, ByNumberWithoutBackground) {
    expectMatch({"7", "0010", "0"}, kUnnamed, ClassNaming::Number, {7, 10, 0});
    expectMatch({"2", "0"}, kWithBackground, ClassNaming::Number, {3, 1});
    expectMatch({"1", "0"}, kAnimals, ClassNaming::Number, {1, 0});
}

TEST(MatchClasses, LabelsThatAreNumbersAreLabels) {
    const ClassCatalogue reversed{3, 0, {"2", "1", "0"}, {}};
    expectMatch({"0", "1", "2"}, reversed, ClassNaming::Label, {2, 1, 0});
    expectMatch({"0000", "0001"}, reversed, ClassNaming::Number, {0, 1});
}

TEST(MatchClasses, BySortedOrderWhereNoNameFitsAndNoneIsMissing) {
    expectMatch({"zebra", "ant", "moth", "bee"}, kAnimals, ClassNaming::Order, {3, 0, 2, 1});
    expectMatch({"b", "c", "a"}, kWithBackground, ClassNaming::Order, {2, 3, 1});
}

TEST(MatchClasses, RefusesWhatFitsNoClassAndSaysWhatWould) {
    expectRefused({"zebra", "ant"}, kAnimals,
                  "in/zebra fits no class; classes are named by label ('cat', 'dog', 'Great White/Shark' ... 4 in all) "
                  "or by class number (0 to 3); folders in sorted order would have to be 4, not 2");
    expectRefused({"zebra"}, kUnnamed,
                  "in/zebra fits no class; classes are named by class number (0 to 11), or by label or WordNet id with "
                  "--labels FILE; folders in sorted order would have to be 12, not 1");
    expectRefused({"n00000001"}, kWithBackground,
                  "in/n00000001 fits no class; classes are named by label ('tench', 'crane', 'crane'), by WordNet id "
                  "('n01440764' ...) or by class number (0 to 2); folders in sorted order would have to be 3, not 1");
}

TEST(MatchClasses, OneNameThatFitsForbidsTheOrder) {
    // Given a folder for each of the four classes, one of them with a slip of the pen,
    expectRefused({"cat", "dog", "great_white_shark", "housecat"}, kAnimals,
                  "in/housecat fits no class, while others fit by label; classes are named by label ('cat', 'dog', "
                  "'Great White/Shark' ... 4 in all) or by class number (0 to 3)");
    // or counted from one.
    expectRefused({"1", "2", "3", "4"}, kAnimals,
                  "in/4 fits no class, while others fit by number; classes are named by label ('cat', 'dog', 'Great "
                  "White/Shark' ... 4 in all) or by class number (0 to 3)");
}

TEST(MatchClasses, RefusesNumbersThatAreNoPlainNumbers) {
    for (const char* name : {"-1", "+1", "1.0", "0x1", " 1", "1 ", "4294967296", "99999999999999999999", ""}) {
        EXPECT_FALSE(match({name}, kUnnamed).ok()) << name;
    }
}

TEST(MatchClasses, RefusesLabelsOfSeveralClasses) {
    expectRefused({"tench", "crane"}, kWithBackground,
                  "in/crane is the label of classes 1 and 2; give the class number");
}

TEST(MatchClasses, RefusesTwoFoldersOfOneClass) {
    expectRefused({"7", "0007"}, kUnnamed, "in/0007 means the same class as in/7");
    expectRefused({"Cat", "cat"}, kAnimals, "in/cat means the same class as in/Cat");
}

TEST(MatchClasses, RefusesMoreFoldersThanClasses) {
    expectRefused({"0", "1", "2", "3", "4"}, kAnimals, "5 class folders, the network has 4 classes");
    expectRefused({"a", "b", "c", "d"}, kWithBackground,
                  "4 class folders, the network has 3 classes besides background");
}

TEST(MatchClasses, NamesOfAListMayMeanOneClassButNoOrder) {
    const Outcome<ClassMatch> twice = match({"7", "07"}, kUnnamed, false);
    ASSERT_TRUE(twice.ok()) << twice.failure().message;
    EXPECT_EQ(twice->classIndices, (Indices{7, 7}));
    expectRefused({"a", "b", "c", "d"}, kAnimals,
                  "in/a fits no class; classes are named by label ('cat', 'dog', 'Great White/Shark' ... 4 in all) or "
                  "by class number (0 to 3)",
                  false);
}

}  // namespace
}  // namespace dunlin::cli
