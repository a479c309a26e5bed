// Pictures whose class is known: from a folder with one subfolder a class, or from a list.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "tools/dunlin/class_matching.h"

namespace dunlin::cli {

struct LabelledPicture {
    std::string file;
    uint32_t classIndex = 0;  // the network's own number
    bool operator==(const LabelledPicture&) const = default;
};

struct GroundTruth {
    ClassNaming naming = ClassNaming::Label;
    std::vector<LabelledPicture> pictures;  // by class; within one by path, or as listed
    std::vector<uint32_t> classIndices;     // that have a folder or are listed, rising
    size_t passedOver = 0;                  // files in class folders that are no pictures, usual texts aside
    std::vector<std::string> notices;       // what the user should know: one sentence each
};

// Every subfolder is a class (see matchClasses), with the pictures in it and its own subfolders, through links, but
// each folder once. Names that begin with a dot are passed over; so are, with a notice unless they are usual texts,
// files that have no picture's extension or are no regular files, and links to folders above or counted before. A link
// to nothing that has a picture's name is a picture. BadInput where there are no class folders, no pictures at all, a
// folder cannot be read, or one belongs to two classes.
Outcome<GroundTruth> truthOfFolders(const std::filesystem::path& folder, const ClassCatalogue& catalogue);

// Whether a file of --labels is a list of pictures with their classes rather than of class names: its name ends in
// .csv, or its first or second line is a picture's file name, a comma and more. Another separator than a comma will do:
// truthOfList() then says what is wrong.
bool isTruthList(const std::filesystem::path& path, std::string_view text);

// `picture,class` a line of UTF-8, comma separated, "quoted" where a field has a comma; further columns are ignored,
// and so is a first line of titles: its first field has no dot and no slash, and its second fits no class. Pictures are
// relative to `folder`; those that are absent are met when they are read, unless all are. BadInput with the line where
// one makes no sense or lists a picture again.
Outcome<GroundTruth> truthOfList(const std::filesystem::path& list, std::string_view text,
                                 const std::filesystem::path& folder, const ClassCatalogue& catalogue);

// At most `limit` of the pictures, the first ones of each class, as evenly over the classes as they have them.
std::vector<LabelledPicture> spreadOverClasses(const std::vector<LabelledPicture>& pictures, size_t limit);

}  // namespace dunlin::cli
