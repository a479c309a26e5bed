// Which class of a network is meant by the name of a folder, or by the class column of a list.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "tools/dunlin/outcome.h"

namespace dunlin::cli {

// What is known of a network's classes. Labels and ids are by the network's own class number, background included.
struct ClassCatalogue {
    uint32_t classes = 0;
    uint32_t labelOffset = 0;             // classes before the one that people call 0: 1 where there is a background
    std::vector<std::string> labels;      // empty: there are none
    std::vector<std::string> wordNetIds;  // empty: there are none; a class without one has an empty one

    // Classes that a picture may have.
    uint32_t realClasses() const { return classes > labelOffset ? classes - labelOffset : 0; }
};

// How names mean classes. One way holds for all names of a folder or list.
enum class ClassNaming {
    Label,      // as the label, whatever the case, with _ for a space or a slash
    WordNetId,  // n01440764
    Number,     // 7, 0007: background is not counted
    Order,      // names in sorted order are classes in order
};
const char* namingText(ClassNaming naming);  // "label"

struct ClassMatch {
    ClassNaming naming = ClassNaming::Label;
    std::vector<uint32_t> classIndices;  // by name; the network's own numbers
};

// What kind of names they are: what may be asked of them, and how the sentence about one begins.
struct NameKind {
    bool folders = false;  // then each means a class of its own, and their sorted order may be meant
    std::function<std::string(size_t)> where;  // "photos/cat" or "truth.csv: line 7: 'cat'"
};

// The class of each name, which are different from one another. The first of label, WordNet id and number that fits all
// names is the one that is meant; sorted order is where no name fits any of these and there are as many folders as
// classes. BadInput for a name that fits no class or several, and for folders that mean the same class.
Outcome<ClassMatch> matchClasses(std::span<const std::string> names, const ClassCatalogue& catalogue,
                                 const NameKind& kind);

// Whether a name in a list means a class, or several, by label, WordNet id or number.
bool fitsAnyClass(const std::string& name, const ClassCatalogue& catalogue);

}  // namespace dunlin::cli
