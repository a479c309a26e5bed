#include "tools/dunlin/files.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "tests/tools/temporary_folder.h"
#include "tools/dunlin/labels.h"

namespace dunlin::cli {
namespace {

using Words = std::vector<std::string>;

TEST(MatchesWildcard, StarIsAnyTextAndQuestionMarkOneCharacter) {
    EXPECT_TRUE(matchesWildcard("*", ""));
    EXPECT_TRUE(matchesWildcard("*.jpg", "a.jpg"));
    EXPECT_TRUE(matchesWildcard("*a*b*", "xxaxxbxaxb"));
    EXPECT_TRUE(matchesWildcard("a?c", "abc"));
    EXPECT_FALSE(matchesWildcard("a?c", "ac"));
    EXPECT_FALSE(matchesWildcard("*.jpg", "a.jpeg"));
    EXPECT_FALSE(matchesWildcard("", "a"));
    EXPECT_FALSE(matchesWildcard("*a", std::string(2000, 'b'))) << "and does not take forever";
}

Words pathsOf(const Words& words) {
    Words paths;
    for (const InputFile& file : expandFiles(words)) {
        EXPECT_FALSE(file.failure) << file.path;
        paths.push_back(file.path);
    }
    return paths;
}

TEST(ExpandFiles, TakesPlainNamesAsTheyAre) {
    const Words words = {"absent.jpg", "b.jpg", "a.jpg"};
    EXPECT_EQ(pathsOf(words), words);
}

TEST(ExpandFiles, ReplacesAFolderByItsPicturesInOrder) {
    const test::TemporaryFolder folder;
    for (const char* name : {"c.PNG", "a.jpeg", "b.JPG", "notes.txt", ".hidden.jpg", "inner/d.jpg"})
        folder.file(name, "x");
    const Words words = {folder.path().string()};
    EXPECT_EQ(pathsOf(words), (Words{folder / "a.jpeg", folder / "b.JPG", folder / "c.PNG"}));
}

TEST(ExpandFiles, ReplacesAPatternByTheFilesThatFit) {
    const test::TemporaryFolder folder;
    for (const char* name : {"one/a1.jpg", "two/a2.jpg", "two/b.jpg", "two/a3.jpg"}) folder.file(name, "x");
    const Words words = {folder / "*/a?.jpg"};
    EXPECT_EQ(pathsOf(words), (Words{folder / "one/a1.jpg", folder / "two/a2.jpg", folder / "two/a3.jpg"}));
}

TEST(ExpandFiles, TakesAFileWhoseNameLooksLikeAPattern) {
    const test::TemporaryFolder folder;
    const Words words = {folder.file("what?.jpg", "x")};
    folder.file("whats.jpg", "x");
    EXPECT_EQ(pathsOf(words), words);
}

TEST(ExpandFiles, SaysWhichFoldersAndPatternsHaveNoPicturesAndKeepsTheOthers) {
    const test::TemporaryFolder folder;
    for (const std::string& word : {folder.path().string(), folder / "*.jpg", folder / "*/x/*.jpg"}) {
        const std::vector<InputFile> files = expandFiles(Words{word, "a.jpg"});
        ASSERT_EQ(files.size(), 2u) << word;
        ASSERT_TRUE(files[0].failure) << word;
        EXPECT_EQ(files[0].failure->status, ExitStatus::BadInput);
        EXPECT_TRUE(files[0].failure->message.starts_with(word + ": ")) << files[0].failure->message;
        EXPECT_FALSE(files[1].failure);
    }
}

TEST(OutputFiles, AppearOnlyWhenCommitted) {
    const test::TemporaryFolder folder;
    const std::string content = "content";
    {
        OutputFiles files;
        ASSERT_FALSE(files.write(folder / "a", {}, std::as_bytes(std::span(content))));
        EXPECT_FALSE(std::filesystem::exists(folder / "a"));
    }
    EXPECT_TRUE(std::filesystem::is_empty(folder.path())) << "what was not committed leaves nothing behind";

    OutputFiles files;
    ASSERT_FALSE(files.write(folder / "a", std::as_bytes(std::span(content)), std::as_bytes(std::span(content))));
    ASSERT_FALSE(files.write(folder / "b", {}, {}));
    ASSERT_FALSE(files.commit());
    EXPECT_EQ(std::filesystem::file_size(folder / "a"), 14u);
    EXPECT_EQ(std::filesystem::file_size(folder / "b"), 0u);
}

TEST(OutputFiles, GoThroughLinksAndLeaveThem) {
    const test::TemporaryFolder folder;
    folder.file("inner/real", "old");
    std::filesystem::create_symlink("inner/real", folder / "link");
    std::filesystem::create_symlink("inner/later", folder / "dangling");
    const std::string content = "content";
    OutputFiles files;
    for (const char* name : {"link", "dangling"})
        ASSERT_FALSE(files.write(folder / name, {}, std::as_bytes(std::span(content))));
    ASSERT_FALSE(files.commit());
    EXPECT_TRUE(std::filesystem::is_symlink(folder / "link") && std::filesystem::is_symlink(folder / "dangling"));
    EXPECT_EQ(std::filesystem::file_size(folder / "inner/real"), 7u);
    EXPECT_EQ(std::filesystem::file_size(folder / "inner/later"), 7u);
}

TEST(OutputFiles, NeverReplaceADevice) {
    const std::string content = "content";
    OutputFiles files;
    ASSERT_FALSE(files.write("/dev/null", {}, std::as_bytes(std::span(content))));
    ASSERT_FALSE(files.commit());
    EXPECT_TRUE(std::filesystem::is_character_file("/dev/null"));
    const Check full = files.write("/dev/full", {}, std::as_bytes(std::span(content)));
    ASSERT_TRUE(full);
    EXPECT_EQ(full->status, ExitStatus::BadInput);
}

TEST(OutputFiles, KeepWhatMayNotBeWritten) {
    if (geteuid() == 0) GTEST_SKIP() << "root may write everything";
    const test::TemporaryFolder folder;
    const std::string path = folder.file("kept", "old");
    std::filesystem::permissions(path, std::filesystem::perms::owner_read);
    OutputFiles files;
    const Check refused = files.write(path, {}, {});
    ASSERT_TRUE(refused);
    EXPECT_EQ(refused->status, ExitStatus::BadInput);
    EXPECT_NE(refused->message.find("ermission denied"), std::string::npos) << refused->message;
}

TEST(OutputFiles, LeaveOtherTemporaryFilesAndNoHalfOfTheirOwn) {
    // Given a file where the name with .part is taken, and a target that becomes a folder meanwhile,
    const test::TemporaryFolder folder;
    folder.file("a.part", "somebody else's");
    OutputFiles files;
    ASSERT_FALSE(files.write(folder / "a", {}, {}));
    ASSERT_FALSE(files.write(folder / "b", {}, {}));
    std::filesystem::create_directory(folder / "b");
    // when they are committed, then neither appears.
    ASSERT_TRUE(files.commit());
    EXPECT_FALSE(std::filesystem::exists(folder / "a"));
    EXPECT_EQ(std::filesystem::file_size(folder / "a.part"), 15u);
}

TEST(SameFile, SeesThroughSpellingAndLinks) {
    const test::TemporaryFolder folder;
    std::filesystem::create_symlink("new.npy", folder / "link.npy");
    EXPECT_TRUE(sameFile(folder / "new.npy", folder / "./x/../new.npy"));
    EXPECT_TRUE(sameFile(folder / "new.npy", folder / "link.npy"));
    EXPECT_FALSE(sameFile(folder / "new.npy", folder / "other.npy"));
}

TEST(OutputFiles, SayWhichCannotBeWritten) {
    const test::TemporaryFolder folder;
    OutputFiles files;
    for (const std::string& path : {folder / "absent/a.npy", folder.path().string()}) {
        const Check failed = files.write(path, {}, {});
        ASSERT_TRUE(failed) << path;
        EXPECT_EQ(failed->status, ExitStatus::BadInput);
        EXPECT_TRUE(failed->message.starts_with(path + ": ")) << failed->message;
    }
}

TEST(Labels, DropWordNetIdsAndSpace) {
    EXPECT_EQ(parseLabels("n01440764 tench\r\n  gold fish \n\nn0144 x\nn01440764\n\n\n"),
              (Words{"tench", "gold fish", "", "n0144 x", "n01440764", "", ""}));
}

TEST(Labels, StartAfterTheBackground) {
    const test::TemporaryFolder folder;
    const std::string path = folder.file("labels.txt", "a\nb\n");
    EXPECT_EQ(*readLabels(path, 3, 1), (Words{"background", "a", "b"}));
    EXPECT_EQ(*readLabels(path, 2, 0), (Words{"a", "b"}));
}

TEST(Labels, LoseAByteOrderMarkAndEmptyLinesBeyondTheClasses) {
    const test::TemporaryFolder folder;
    const std::string path = folder.file("labels.txt", "\xef\xbb\xbfn01440764 a\n\n\n\n");
    EXPECT_EQ(*readLabels(path, 2, 0), (Words{"a", ""}));
}

TEST(Labels, FromAnEndlessFileAreRefused) {
    const Outcome<Words> labels = readLabels("/dev/zero", 2, 0);
    ASSERT_FALSE(labels.ok());
    EXPECT_NE(labels.failure().message.find(fmt::format("more than {} bytes", kMaxLabelsBytes)), std::string::npos)
        << labels.failure().message;
}

TEST(Labels, OfAnotherNumberOfClassesAreRefused) {
    const test::TemporaryFolder folder;
    const Outcome<Words> labels = readLabels(folder.file("labels.txt", "a\nb\n"), 1000, 0);
    ASSERT_FALSE(labels.ok());
    EXPECT_EQ(labels.failure().status, ExitStatus::BadInput);
    EXPECT_NE(labels.failure().message.find("2 labels, the network has 1000 classes"), std::string::npos)
        << labels.failure().message;
}

}  // namespace
}  // namespace dunlin::cli
