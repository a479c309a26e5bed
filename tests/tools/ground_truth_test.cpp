// Class folders and lists of pictures. What is in the files does not matter here: none is opened.
#include "tools/dunlin/ground_truth.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "tests/tools/temporary_folder.h"

namespace dunlin::cli {
namespace {

namespace fs = std::filesystem;

const ClassCatalogue kAnimals{3, 0, {"cat", "dog", "great white shark"}, {}};
const ClassCatalogue kWithBackground{4, 1, {}, {}};

class GroundTruthTest : public ::testing::Test {
  protected:
    // "dog/a.jpg=1 ..." with paths inside the folder.
    std::string textOf(const std::vector<LabelledPicture>& pictures) const {
        std::string text;
        for (const LabelledPicture& picture : pictures) {
            text += fs::path(picture.file).lexically_relative(folder_.path()).string() + "=" +
                    std::to_string(picture.classIndex) + " ";
        }
        return text;
    }
    std::string foldersText(const ClassCatalogue& catalogue = kAnimals) const {
        const Outcome<GroundTruth> truth = truthOfFolders(folder_.path(), catalogue);
        return truth.ok() ? textOf(truth->pictures) : truth.failure().message;
    }
    std::string listText(const std::string& list, const ClassCatalogue& catalogue = kAnimals) const {
        const Outcome<GroundTruth> truth = truthOfList("list.csv", list, folder_.path(), catalogue);
        return truth.ok() ? textOf(truth->pictures) : truth.failure().message;
    }
    void add(std::initializer_list<const char*> files) const {
        for (const char* file : files) folder_.file(file, "");
    }

    const test::TemporaryFolder folder_;
};

TEST_F(GroundTruthTest, FoldersAreClassesWithAllThatIsInThem) {
    add({"dog/b.JPG", "dog/a.png", "dog/more/deep/c.jpeg", "dog/notes.txt", "dog/.hidden.png", "cat/z.ppm",
         ".trash/x.png"});
    const Outcome<GroundTruth> truth = truthOfFolders(folder_.path(), kAnimals);
    ASSERT_TRUE(truth.ok()) << truth.failure().message;
    EXPECT_EQ(textOf(truth->pictures), "cat/z.ppm=0 dog/a.png=1 dog/b.JPG=1 dog/more/deep/c.jpeg=1 ");
    EXPECT_EQ(truth->naming, ClassNaming::Label);
    EXPECT_EQ(truth->classIndices, (std::vector<uint32_t>{0, 1}));
    EXPECT_TRUE(truth->notices.empty()) << "notes and hidden files are no surprise";
    EXPECT_EQ(truth->passedOver, 0u);
}

TEST_F(GroundTruthTest, SaysWhatIsPassedOverInClassFolders) {
    add({"cat/a.png", "cat/b.webp", "cat/README", "cat/info.JSON", "dog/more/c.TIF", "dog/d.avif", "dog/e",
         "beside.tif"});
    fs::create_symlink("nowhere.png", folder_ / "cat/gone.png");
    ASSERT_EQ(mkfifo((folder_ / "dog/pipe.png").c_str(), 0600), 0);
    fs::create_symlink("nowhere", folder_ / "great_white_shark");
    const Outcome<GroundTruth> truth = truthOfFolders(folder_.path(), kAnimals);
    ASSERT_TRUE(truth.ok()) << truth.failure().message;
    EXPECT_EQ(textOf(truth->pictures), "cat/a.png=0 cat/gone.png=0 ") << "a dangling link is a picture that is missed";
    EXPECT_EQ(truth->passedOver, 5u);
    ASSERT_EQ(truth->notices.size(), 3u);
    EXPECT_EQ(truth->notices[0], folder_ / "great_white_shark" + ": is a link to nothing, so it is no class folder");
    EXPECT_EQ(truth->notices[1], folder_ / "dog" + ": has no pictures");
    EXPECT_EQ(truth->notices[2], folder_.path().string() +
                                     ": 5 files in class folders are no pictures that can be read and are passed "
                                     "over: cat/b.webp, dog/d.avif, dog/e ...");
}

TEST_F(GroundTruthTest, FoldersMayBeLinksButNoCircles) {
    add({"store/dogs/a.png", "top/cat/c.png"});
    fs::create_directory_symlink(folder_ / "store/dogs", folder_ / "top/dog");
    fs::create_directory_symlink(folder_ / "top/cat", folder_ / "top/cat/again");
    const Outcome<GroundTruth> truth = truthOfFolders(folder_ / "top", kAnimals);
    ASSERT_TRUE(truth.ok()) << truth.failure().message;
    EXPECT_EQ(textOf(truth->pictures), "top/cat/c.png=0 top/dog/a.png=1 ");
    ASSERT_EQ(truth->notices.size(), 1u);
    EXPECT_EQ(truth->notices[0],
              folder_ / "top/cat/again" + ": is the same folder as " + folder_ / "top/cat" + " and passed over");
}

TEST_F(GroundTruthTest, LinksUpwardsAndAmongSiblingsCountNothingTwice) {
    add({"top/cat/c.png", "top/dog/1/a.png", "top/dog/2/b.png"});
    fs::create_directory_symlink("..", folder_ / "top/cat/up");
    fs::create_directory_symlink("../..", folder_ / "top/cat/way_up");
    fs::create_directory_symlink("../2", folder_ / "top/dog/1/two");
    fs::create_directory_symlink("../1", folder_ / "top/dog/2/one");
    const Outcome<GroundTruth> truth = truthOfFolders(folder_ / "top", kAnimals);
    ASSERT_TRUE(truth.ok()) << truth.failure().message;
    EXPECT_EQ(textOf(truth->pictures), "top/cat/c.png=0 top/dog/1/a.png=1 top/dog/1/two/b.png=1 ");
    ASSERT_EQ(truth->notices.size(), 4u);
    EXPECT_EQ(truth->notices[0], folder_ / "top/cat/up" + ": leads out of its class folder and is passed over");
    EXPECT_EQ(truth->notices[1], folder_ / "top/cat/way_up" + ": leads out of its class folder and is passed over");
    EXPECT_EQ(truth->notices[2],
              folder_ / "top/dog/1/two/one" + ": is the same folder as " + folder_ / "top/dog/1" + " and passed over");
    EXPECT_EQ(truth->notices[3],
              folder_ / "top/dog/2" + ": is the same folder as " + folder_ / "top/dog/1/two" + " and passed over");
}

TEST_F(GroundTruthTest, RefusesAFolderOfTwoClasses) {
    add({"same/cat/c.png", "inside/cat/c.png", "inside/dog/deep/a.png", "whole/cat/c.png", "whole/dog/d.png"});
    fs::create_directory_symlink("cat", folder_ / "same/dog");
    fs::create_directory_symlink("../dog/deep", folder_ / "inside/cat/deep");
    fs::create_directory_symlink("../dog", folder_ / "whole/cat/other");
    const auto messageOf = [](const std::string& folder) {
        const Outcome<GroundTruth> truth = truthOfFolders(folder, kAnimals);
        return truth.ok() ? "accepted" : truth.failure().message;
    };
    const auto both = [&](const std::string& a, const std::string& b) {
        return folder_ / a + ": is the same folder as " + folder_ / b + ", which is of another class";
    };
    EXPECT_EQ(messageOf(folder_ / "same"), both("same/dog", "same/cat"));
    EXPECT_EQ(messageOf(folder_ / "inside"), both("inside/dog/deep", "inside/cat/deep"));
    EXPECT_EQ(messageOf(folder_ / "whole"), both("whole/cat/other", "whole/dog"));
}

TEST_F(GroundTruthTest, ABackgroundIsNotCounted) {
    add({"0/a.png", "2/b.png"});
    EXPECT_EQ(foldersText(kWithBackground), "0/a.png=1 2/b.png=3 ");
}

TEST_F(GroundTruthTest, SaysWhatIsTakenInOrderAndWhatIsLeftOut) {
    add({"moth/a.png", "ant/b.png", "beside.png", "beside.txt"});
    fs::create_directory(folder_ / "bee");
    const Outcome<GroundTruth> truth = truthOfFolders(folder_.path(), kAnimals);
    ASSERT_TRUE(truth.ok()) << truth.failure().message;
    EXPECT_EQ(textOf(truth->pictures), "ant/b.png=0 moth/a.png=2 ");
    EXPECT_EQ(truth->naming, ClassNaming::Order);
    EXPECT_EQ(truth->classIndices, (std::vector<uint32_t>{0, 1, 2})) << "a class without pictures is one, too";
    ASSERT_EQ(truth->notices.size(), 3u);
    EXPECT_EQ(truth->notices[0],
              "no folder's name fits a class, so they are taken in sorted order: ant is 0 'cat', bee is 1 'dog', moth "
              "is 2 'great white shark'");
    EXPECT_EQ(truth->notices[1], folder_.path().string() + ": 1 picture beside the class folders is not counted");
    EXPECT_EQ(truth->notices[2], folder_ / "bee" + ": has no pictures");
}

TEST_F(GroundTruthTest, RefusesFoldersThatAreNone) {
    const auto messageOf = [](const std::string& folder) {
        const Outcome<GroundTruth> truth = truthOfFolders(folder, kAnimals);
        EXPECT_FALSE(truth.ok());
        EXPECT_EQ(truth.failure().status, ExitStatus::BadInput);
        return truth.failure().message;
    };
    add({"flat/a.png", "bare/dog/notes.txt", "named/dog/a.png", "named/cow/b.png"});
    EXPECT_EQ(messageOf(folder_ / "absent"), folder_ / "absent" + ": there is no such folder");
    EXPECT_EQ(messageOf(folder_ / "flat/a.png"), folder_ / "flat/a.png" + ": is a file, not a folder");
    EXPECT_EQ(messageOf(folder_ / "flat"),
              folder_ / "flat" +
                  ": has no class folders; give one with a subfolder for each class, or a list of picture,class with "
                  "--labels FILE");
    EXPECT_EQ(messageOf(folder_ / "bare"), folder_ / "bare" + ": its class folders have no pictures");
    EXPECT_TRUE(messageOf(folder_ / "named").starts_with(folder_ / "named/cow" + " fits no class, while others fit"));
}

TEST_F(GroundTruthTest, ListsAreKnownByTheirNameOrTheirLines) {
    EXPECT_TRUE(isTruthList("a.csv", ""));
    EXPECT_TRUE(isTruthList("a.CSV", "tench\n"));
    EXPECT_TRUE(isTruthList("a.txt", "a.jpg,3\n"));
    EXPECT_TRUE(isTruthList("a.txt",
                            "\xef\xbb\xbf"
                            "\n\"a, b.PNG\" , cat\r\n"));
    EXPECT_TRUE(isTruthList("a.txt", "image,label\nval/a.JPEG,3\n"));
    EXPECT_TRUE(isTruthList("a.txt", "a.jpg,\"great\nwhite shark\"\n")) << "whatever is wrong with it";
    for (const char* line : {"a.jpg\t3\n", "a b.jpg 3\n", "a.jpg;3\n"}) EXPECT_TRUE(isTruthList("a.txt", line)) << line;
    EXPECT_FALSE(isTruthList("a.txt", "a.jpg\nb.jpg\n"));
    EXPECT_FALSE(isTruthList("a.txt", "tench, Tinca tinca\ngoldfish, Carassius auratus\n"));
    EXPECT_FALSE(isTruthList("a.txt", "n01440764 tench\n"));
    EXPECT_FALSE(isTruthList("a.txt", "\"unclosed\na.jpg\n"));
    EXPECT_FALSE(isTruthList("a.txt", ""));
}

TEST_F(GroundTruthTest, ListsGiveEachPictureItsClass) {
    add({"a.jpg"});
    EXPECT_EQ(listText("a.jpg,1\nb.png,0\nsub/c.gif,01\n"), "b.png=0 a.jpg=1 sub/c.gif=1 ");
    EXPECT_EQ(listText("image,label,other\r\na.jpg , 1,5\r\n\r\nb.png,0,\r\n"), "b.png=0 a.jpg=1 ");
    EXPECT_EQ(listText("a.jpg,Dog\nb.png,great_white_shark"), "a.jpg=1 b.png=2 ");
    EXPECT_EQ(listText("a.jpg,0\nb.png,2\n", kWithBackground), "a.jpg=1 b.png=3 ");
}

TEST_F(GroundTruthTest, ListsMayHaveQuotes) {
    add({"a, \"b\".jpg"});
    const ClassCatalogue catalogue{2, 0, {"tench, Tinca tinca", "eel"}, {}};
    EXPECT_EQ(listText("\"a, \"\"b\"\".jpg\" , \"tench, Tinca tinca\"\n", catalogue), "a, \"b\".jpg=0 ");
    EXPECT_EQ(listText("a.jpg,\"great\nwhite shark\"\n"),
              "list.csv: line 1: a quote is not closed; a field cannot span lines");
    EXPECT_EQ(listText("\"a\" b.jpg,1\n"), "list.csv: line 1: a quote is not closed before the comma");
}

TEST_F(GroundTruthTest, OnlyTitlesAreNoPicture) {
    add({"a.jpg"});
    EXPECT_EQ(listText("file,species\na.jpg,cat\n"), "a.jpg=0 ");
    EXPECT_EQ(listText(",file\na.jpg,cat\n"), "a.jpg=0 ");
    const auto isNone = [](const std::string& name) {
        return "list.csv: line 1: '" + name + "' is not the file name of a picture";
    };
    EXPECT_EQ(listText("b.webp,species\na.jpg,cat\n"), isNone("b.webp"));
    EXPECT_EQ(listText("photos/b,species\na.jpg,cat\n"), isNone("photos/b"));
    EXPECT_EQ(listText("b,cat\na.jpg,cat\n"), isNone("b"));
    EXPECT_EQ(listText("b,2\na.jpg,1\n", kWithBackground), isNone("b"));
}

TEST_F(GroundTruthTest, ListsOfAnotherFormAreToldTheForm) {
    add({"a.jpg"});
    const auto message = [](const char* found, int line) {
        return "list.csv: line " + std::to_string(line) + ": has " + found +
               " after the picture; a line is picture,class with a comma between";
    };
    EXPECT_EQ(listText("image\tlabel\na.jpg\tcat\n"), message("a tab", 2));
    EXPECT_EQ(listText("a.jpg\tgreat, white shark\n"), message("a tab", 1));
    EXPECT_EQ(listText("a.jpg;cat\n"), message("a semicolon", 1));
    EXPECT_EQ(listText("a.jpg cat\n"), message("a space", 1));
    using namespace std::string_literals;
    const char* utf16 = "list.csv: is UTF-16 text, or none; a list is UTF-8 text of lines picture,class";
    EXPECT_EQ(listText("\xff\xfe"
                       "a\0.\0j\0p\0g\0,\0"
                       "1\0"s),
              utf16);
    EXPECT_EQ(listText("\xfe\xff"
                       "\0a\0.\0j\0p\0g\0,\0"
                       "1"s),
              utf16);
    EXPECT_EQ(listText("a\0.\0j\0p\0g\0,\0"
                       "1\0"s),
              utf16);
}

TEST_F(GroundTruthTest, RefusesListsThatMakeNoSense) {
    add({"a.jpg"});
    EXPECT_EQ(listText(""), "list.csv: lists no picture");
    EXPECT_EQ(listText("image,label\n"), "list.csv: lists no picture");
    EXPECT_EQ(listText("a.jpg,1\nb.png\n"), "list.csv: line 2: 'b.png' has no class; a line is picture,class");
    EXPECT_EQ(listText("a.jpg,1\nb.png,\n"), "list.csv: line 2: 'b.png' has no class; a line is picture,class");
    EXPECT_EQ(listText("id,label\n\n17,cat\n"), "list.csv: line 3: '17' is not the file name of a picture");
    EXPECT_EQ(listText("a.jpg,1\nb.jpg,1\na.jpg,2\n"), "list.csv: line 3: a.jpg is in line 1 too");
    for (const std::string again : {"./a.jpg", "sub/../a.jpg", ".//a.jpg"}) {
        EXPECT_EQ(listText("a.jpg,1\n" + again + ",2\n"), "list.csv: line 2: " + again + " is in line 1 too");
    }
    EXPECT_EQ(listText("a.jpg,1\n" + folder_ / "a.jpg" + ",1\n"),
              "list.csv: line 2: " + folder_ / "a.jpg" + " is in line 1 too");
    EXPECT_EQ(listText("b.jpg,1\nc.jpg,1\n"),
              folder_.path().string() + ": has none of the 2 pictures that list.csv lists");
    EXPECT_EQ(listText("a.jpg,3\n"),
              "list.csv: line 1: '3' fits no class; classes are named by label ('cat', 'dog', 'great white shark') or "
              "by class number (0 to 2)");
    EXPECT_EQ(listText("a.jpg,0\nb.jpg,0\nc.jpg,cow\n", kWithBackground),
              "list.csv: line 3: 'cow' fits no class, while others fit by number; classes are named by class number "
              "(0 to 2), or by label or WordNet id with --labels FILE");
}

// Pictures "c0", "c1" ... of a class.
std::vector<LabelledPicture> picturesOf(std::initializer_list<size_t> countsByClass) {
    std::vector<LabelledPicture> pictures;
    uint32_t classIndex = 0;
    for (const size_t count : countsByClass) {
        for (size_t i = 0; i < count; ++i) {
            pictures.push_back({std::to_string(classIndex) + ":" + std::to_string(i), classIndex});
        }
        ++classIndex;
    }
    return pictures;
}

std::string chosenOf(std::initializer_list<size_t> countsByClass, size_t limit) {
    std::string text;
    for (const LabelledPicture& picture : spreadOverClasses(picturesOf(countsByClass), limit))
        text += picture.file + " ";
    return text;
}

TEST(SpreadOverClasses, TakesTheFirstOfEachClassEvenly) {
    EXPECT_EQ(chosenOf({3, 3, 3}, 6), "0:0 0:1 1:0 1:1 2:0 2:1 ");
    EXPECT_EQ(chosenOf({3, 3, 3}, 9), chosenOf({3, 3, 3}, 1000));
    EXPECT_EQ(spreadOverClasses(picturesOf({3, 3, 3}), 9), picturesOf({3, 3, 3}));
}

TEST(SpreadOverClasses, TakesMoreOfOthersWhereAClassHasFew) {
    EXPECT_EQ(chosenOf({1, 4, 2}, 6), "0:0 1:0 1:1 1:2 2:0 2:1 ");
    EXPECT_EQ(chosenOf({0, 4}, 2), "1:0 1:1 ");
}

TEST(SpreadOverClasses, TakesTheRestAtEqualDistances) {
    EXPECT_EQ(chosenOf({2, 2, 2, 2, 2, 2}, 3), "0:0 2:0 4:0 ");
    EXPECT_EQ(chosenOf({2, 2, 2, 2}, 6), "0:0 0:1 1:0 2:0 2:1 3:0 ");
    EXPECT_EQ(chosenOf({2, 2, 2}, 1), "0:0 ");
}

}  // namespace
}  // namespace dunlin::cli
