#include "tools/dunlin/ground_truth.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <span>
#include <unordered_map>

#include "tools/dunlin/files.h"
#include "tools/dunlin/text.h"

namespace dunlin::cli {
namespace fs = std::filesystem;
namespace {

Failure badInput(std::string message) {
    return {ExitStatus::BadInput, std::move(message)};
}

// What a folder has, sorted, but for hidden names.
Outcome<std::vector<fs::path>> entriesOf(const fs::path& folder) {
    std::vector<fs::path> entries;
    std::error_code failed;
    for (fs::directory_iterator entry(folder, failed), end; !failed && entry != end; entry.increment(failed)) {
        if (!entry->path().filename().string().starts_with('.')) entries.push_back(entry->path());
    }
    if (failed) return badInput(fmt::format("{}: cannot be read: {}", folder.string(), failed.message()));
    std::sort(entries.begin(), entries.end());
    return entries;
}

// Files beside pictures that nobody takes for one.
bool isUsualText(const fs::path& path) {
    static constexpr std::array<std::string_view, 12> kExtensions = {".txt", ".md",  ".json", ".xml",  ".csv", ".tsv",
                                                                     ".yml", ".ini", ".db",   ".html", ".log", ".yaml"};
    static constexpr std::array<std::string_view, 2> kNames = {"readme", "license"};
    const std::string name = lowered(path.filename().string()), extension = lowered(path.extension().string());
    return std::find(kExtensions.begin(), kExtensions.end(), extension) != kExtensions.end() ||
           std::find(kNames.begin(), kNames.end(), name) != kNames.end();
}

// Finds the pictures of class folders. Each folder counts once over all of them: no link leads in a circle, and no
// picture gets two classes.
class PictureFinder {
  public:
    // To be called once, before find(). BadInput where two class folders are one, or one has them all.
    Check begin(const fs::path& folder, std::span<const fs::path> classFolders) {
        folder_ = folder;
        std::error_code failed;
        fs::path above = fs::canonical(folder, failed);
        if (failed) return badInput(fmt::format("{}: cannot be read: {}", folder.string(), failed.message()));
        for (seen_[above] = {}; above != above.root_path(); seen_[above] = {}) above = above.parent_path();
        for (size_t i = 0; i < classFolders.size(); ++i) {
            DUNLIN_CLI_ASSIGN(const bool isNew, enter(classFolders[i], i));
            if (!isNew) return badInput(classFolders[i].string() + ": leads to the folder of all classes");
        }
        return {};
    }

    // Adds the pictures of class folder number `itsClass`, and of the folders in it.
    Check find(const fs::path& classFolder, size_t itsClass, std::vector<std::string>& pictures) {
        DUNLIN_CLI_ASSIGN(const std::vector<fs::path> entries, entriesOf(classFolder));
        for (const fs::path& entry : entries) {
            std::error_code ignored;
            const fs::file_status status = fs::status(entry, ignored);
            if (fs::is_directory(status)) {
                DUNLIN_CLI_ASSIGN(const bool isNew, enter(entry, itsClass));
                if (isNew) DUNLIN_CLI_TRY(find(entry, itsClass, pictures));
            } else if (isPictureName(entry) && !isDevice(status)) {
                pictures.push_back(entry.string());
            } else if (!isUsualText(entry)) {
                if (passedOver_++ < kShown) examples_.push_back(entry.lexically_relative(folder_).string());
            }
        }
        return {};
    }

    std::vector<std::string>& notices() { return notices_; }
    size_t passedOver() const { return passedOver_; }
    // "cat/a.webp, cat/b.tif ..."
    std::string examples() const {
        return fmt::format("{}{}", fmt::join(examples_, ", "), passedOver_ > examples_.size() ? " ..." : "");
    }

  private:
    static constexpr size_t kShown = 3;

    struct Visit {
        fs::path path;                   // as it was come to
        std::optional<size_t> itsClass;  // none: the folder of all classes, or one above it
    };

    // What exists and is no file: to read a pipe would wait for its writer.
    static bool isDevice(const fs::file_status& status) {
        return fs::exists(status) && !fs::is_regular_file(status) && status.type() != fs::file_type::unknown;
    }

    // Whether the folder was not seen before.
    Outcome<bool> enter(const fs::path& folder, size_t itsClass) {
        std::error_code failed;
        const fs::path itself = fs::canonical(folder, failed);
        if (failed) return badInput(fmt::format("{}: cannot be read: {}", folder.string(), failed.message()));
        const auto [first, isNew] = seen_.try_emplace(itself, Visit{folder, itsClass});
        if (isNew) return true;
        const Visit& other = first->second;
        if (!other.itsClass) {
            notices_.push_back(folder.string() + ": leads out of its class folder and is passed over");
            return false;
        }
        const std::string both = fmt::format("{}: is the same folder as {}", folder.string(), other.path.string());
        if (other.itsClass != itsClass) return badInput(both + ", which is of another class");
        notices_.push_back(both + " and passed over");
        return false;
    }

    fs::path folder_;
    std::map<fs::path, Visit> seen_;  // by the path without links
    std::vector<std::string> notices_, examples_;
    size_t passedOver_ = 0;
};

std::vector<uint32_t> sortedAndUnique(std::vector<uint32_t> classIndices) {
    std::sort(classIndices.begin(), classIndices.end());
    classIndices.erase(std::unique(classIndices.begin(), classIndices.end()), classIndices.end());
    return classIndices;
}

void sortByClass(std::vector<LabelledPicture>& pictures) {
    std::stable_sort(pictures.begin(), pictures.end(),
                     [](const LabelledPicture& a, const LabelledPicture& b) { return a.classIndex < b.classIndex; });
}

std::string orderNotice(const std::vector<std::string>& names, const ClassMatch& match,
                        const ClassCatalogue& catalogue) {
    constexpr size_t kShown = 3;
    std::string examples;
    for (size_t i = 0; i < names.size() && i < kShown; ++i) {
        const uint32_t classIndex = match.classIndices[i];
        examples += fmt::format("{}{} is {}", i ? ", " : "", names[i], classIndex - catalogue.labelOffset);
        if (classIndex < catalogue.labels.size()) examples += fmt::format(" '{}'", catalogue.labels[classIndex]);
    }
    return fmt::format("no folder's name fits a class, so they are taken in sorted order: {}{}", examples,
                       names.size() > kShown ? " ..." : "");
}

struct ClassFolders {
    std::vector<fs::path> folders;
    std::vector<std::string> names;
    std::vector<fs::path> dangling;  // links to nothing, which may have been meant for class folders
    size_t picturesBeside = 0;
};

Outcome<ClassFolders> classFoldersOf(const fs::path& folder) {
    std::error_code failed;
    if (!fs::exists(folder, failed)) return badInput(folder.string() + ": there is no such folder");
    if (!fs::is_directory(folder, failed)) return badInput(folder.string() + ": is a file, not a folder");
    DUNLIN_CLI_ASSIGN(const std::vector<fs::path> entries, entriesOf(folder));
    ClassFolders found;
    for (const fs::path& entry : entries) {
        if (fs::is_directory(entry, failed)) {
            found.folders.push_back(entry);
            found.names.push_back(entry.filename().string());
        } else if (isPictureName(entry)) {
            ++found.picturesBeside;
        } else if (!fs::exists(entry, failed)) {
            found.dangling.push_back(entry);
        }
    }
    return found;
}

// The pictures of all class folders, with their classes.
Check addPictures(const fs::path& folder, const ClassFolders& found, const ClassMatch& match, GroundTruth& truth) {
    PictureFinder finder;
    DUNLIN_CLI_TRY(finder.begin(folder, found.folders));
    for (size_t i = 0; i < found.folders.size(); ++i) {
        std::vector<std::string> pictures;
        DUNLIN_CLI_TRY(finder.find(found.folders[i], i, pictures));
        if (pictures.empty()) finder.notices().push_back(found.folders[i].string() + ": has no pictures");
        for (std::string& file : pictures) truth.pictures.push_back({std::move(file), match.classIndices[i]});
    }
    truth.passedOver = finder.passedOver();
    const std::string others = fmt::format("{} file{}", truth.passedOver, truth.passedOver == 1 ? "" : "s");
    if (truth.pictures.empty()) {
        std::string message = folder.string() + ": its class folders have no pictures";
        if (truth.passedOver > 0) message += fmt::format(" that can be read, but {}: {}", others, finder.examples());
        return badInput(std::move(message));
    }
    truth.notices.insert(truth.notices.end(), finder.notices().begin(), finder.notices().end());
    if (truth.passedOver > 0) {
        truth.notices.push_back(fmt::format("{}: {} in class folders {} that can be read and {} passed over: {}",
                                            folder.string(), others,
                                            truth.passedOver == 1 ? "is no picture" : "are no pictures",
                                            truth.passedOver == 1 ? "is" : "are", finder.examples()));
    }
    return {};
}

// ---- lists

struct Row {
    size_t line = 0;
    std::vector<std::string> fields;
};

// Takes one field off the front of the line, with the comma after it.
Outcome<std::string> takeField(std::string_view& line) {
    line = trimmed(line);
    if (!line.starts_with('"')) {
        const size_t end = std::min(line.find(','), line.size());
        std::string field(trimmed(line.substr(0, end)));
        line.remove_prefix(std::min(end + 1, line.size()));
        return field;
    }
    std::string field;
    for (size_t i = 1; i < line.size(); ++i) {
        const bool doubled = line[i] == '"' && i + 1 < line.size() && line[i + 1] == '"';
        if (line[i] == '"' && !doubled) {
            const size_t comma = std::min(line.find(',', i), line.size());
            if (!trimmed(line.substr(i + 1, comma - i - 1)).empty()) {
                return badInput("a quote is not closed before the comma");
            }
            line.remove_prefix(std::min(comma + 1, line.size()));
            return field;
        }
        field += line[i];
        i += doubled ? 1 : 0;
    }
    return badInput("a quote is not closed; a field cannot span lines");
}

// The lines that are not empty.
Outcome<std::vector<Row>> parseRows(std::string_view text) {
    std::vector<Row> rows;
    text = withoutByteOrderMark(text);
    for (size_t number = 1; !text.empty(); ++number) {
        std::string_view line = takeLine(text);
        if (line.empty()) continue;
        Row row{number, {}};
        while (!line.empty()) {
            Outcome<std::string> field = takeField(line);
            if (!field.ok()) return badInput(fmt::format("line {}: {}", number, field.failure().message));
            row.fields.push_back(*std::move(field));
        }
        rows.push_back(std::move(row));
    }
    return rows;
}

// What follows a picture's file name in a field, where a comma should: "a tab". Null where nothing does.
const char* wrongSeparator(std::string_view field) {
    constexpr std::string_view kSeparators = "\t; ";
    for (size_t begin = 0, end = 0; (end = field.find_first_of(kSeparators, begin)) < field.size(); begin = end + 1) {
        if (!isPictureName(field.substr(begin, end - begin))) continue;
        return field[end] == '\t' ? "a tab" : field[end] == ';' ? "a semicolon" : "a space";
    }
    return nullptr;
}

// Whether a line begins with a picture's file name and has more, whatever the rest is.
bool isPictureLine(std::string_view line) {
    const Outcome<std::string> field = takeField(line);
    if (!field.ok()) return false;
    return isPictureName(*field) ? !line.empty() : wrongSeparator(*field) != nullptr;
}

// Whether the first row of a list is its columns' titles: no path, and no class.
bool areTitles(const Row& row, const ClassCatalogue& catalogue) {
    return row.fields[0].find_first_of("./") == std::string::npos &&
           (row.fields.size() < 2 || !fitsAnyClass(row.fields[1], catalogue));
}

// What a list is besides its classes.
Check checkRows(const std::string& list, const std::vector<Row>& rows, const fs::path& folder) {
    if (rows.empty()) return badInput(list + ": lists no picture");
    std::error_code ignored;
    const fs::path absolute = fs::absolute(folder, ignored);
    std::unordered_map<std::string, size_t> lineOf;
    for (const Row& row : rows) {
        const std::string where = fmt::format("{}: line {}", list, row.line);
        const char* separator = isPictureName(row.fields[0]) ? nullptr : wrongSeparator(row.fields[0]);
        if (separator) {
            return badInput(fmt::format("{}: has {} after the picture; a line is picture,class with a comma between",
                                        where, separator));
        }
        if (row.fields.size() < 2 || row.fields[1].empty()) {
            return badInput(fmt::format("{}: '{}' has no class; a line is picture,class", where, row.fields[0]));
        }
        if (!isPictureName(row.fields[0])) {
            return badInput(fmt::format("{}: '{}' is not the file name of a picture", where, row.fields[0]));
        }
        const std::string picture = (absolute / row.fields[0]).lexically_normal().string();  // however it is spelt
        const auto [first, isNew] = lineOf.emplace(picture, row.line);
        if (!isNew) return badInput(fmt::format("{}: {} is in line {} too", where, row.fields[0], first->second));
    }
    const bool anyExists = std::any_of(rows.begin(), rows.end(),
                                       [&](const Row& row) { return fs::exists(folder / row.fields[0], ignored); });
    if (anyExists) return {};
    return badInput(fmt::format("{}: has none of the {} pictures that {} lists", folder.string(), rows.size(), list));
}

}  // namespace

Outcome<GroundTruth> truthOfFolders(const fs::path& folder, const ClassCatalogue& catalogue) {
    DUNLIN_CLI_ASSIGN(const ClassFolders found, classFoldersOf(folder));
    if (found.folders.empty()) {
        return badInput(
            fmt::format("{}: has no class folders; give one with a subfolder for each class, or a list of "
                        "picture,class with --labels FILE",
                        folder.string()));
    }
    const NameKind kind{true, [&](size_t i) { return found.folders[i].string(); }};
    Outcome<ClassMatch> match = matchClasses(found.names, catalogue, kind);
    if (!match.ok()) return match.failure();
    GroundTruth truth;
    truth.naming = match->naming;
    if (match->naming == ClassNaming::Order) truth.notices.push_back(orderNotice(found.names, *match, catalogue));
    if (found.picturesBeside > 0) {
        truth.notices.push_back(fmt::format("{}: {} picture{} beside the class folders {} not counted", folder.string(),
                                            found.picturesBeside, found.picturesBeside == 1 ? "" : "s",
                                            found.picturesBeside == 1 ? "is" : "are"));
    }
    for (const fs::path& link : found.dangling) {
        truth.notices.push_back(link.string() + ": is a link to nothing, so it is no class folder");
    }
    DUNLIN_CLI_TRY(addPictures(folder, found, *match, truth));
    sortByClass(truth.pictures);
    truth.classIndices = sortedAndUnique(std::move(match->classIndices));
    return truth;
}

bool isTruthList(const fs::path& path, std::string_view text) {
    if (lowered(path.extension().string()) == ".csv") return true;
    text = withoutByteOrderMark(text);
    for (size_t lines = 0; !text.empty() && lines < 2;) {
        const std::string_view line = takeLine(text);
        if (isPictureLine(line)) return true;
        lines += line.empty() ? 0 : 1;
    }
    return false;
}

Outcome<GroundTruth> truthOfList(const fs::path& list, std::string_view text, const fs::path& folder,
                                 const ClassCatalogue& catalogue) {
    std::error_code failed;
    if (!fs::exists(folder, failed)) return badInput(folder.string() + ": there is no such folder");
    if (!fs::is_directory(folder, failed)) return badInput(folder.string() + ": is a file, not a folder");
    if (isUtf16OrBinary(text)) {
        return badInput(list.string() + ": is UTF-16 text, or none; a list is UTF-8 text of lines picture,class");
    }
    Outcome<std::vector<Row>> rows = parseRows(text);
    if (!rows.ok()) return badInput(list.string() + ": " + rows.failure().message);
    if (!rows->empty() && areTitles(rows->front(), catalogue)) rows->erase(rows->begin());
    DUNLIN_CLI_TRY(checkRows(list.string(), *rows, folder));

    // Each class name is looked up once, and spoken of by its first line.
    std::vector<std::string> names;
    std::vector<size_t> lines;
    std::unordered_map<std::string, size_t> numberOf;
    for (const Row& row : *rows) {
        if (!numberOf.emplace(row.fields[1], names.size()).second) continue;
        names.push_back(row.fields[1]);
        lines.push_back(row.line);
    }
    const NameKind kind{false,
                        [&](size_t i) { return fmt::format("{}: line {}: '{}'", list.string(), lines[i], names[i]); }};
    Outcome<ClassMatch> match = matchClasses(names, catalogue, kind);
    if (!match.ok()) return match.failure();
    GroundTruth truth;
    truth.naming = match->naming;
    for (const Row& row : *rows) {
        truth.pictures.push_back({(folder / row.fields[0]).string(), match->classIndices[numberOf.at(row.fields[1])]});
    }
    sortByClass(truth.pictures);
    truth.classIndices = sortedAndUnique(std::move(match->classIndices));
    return truth;
}

std::vector<LabelledPicture> spreadOverClasses(const std::vector<LabelledPicture>& pictures, size_t limit) {
    if (pictures.size() <= limit) return pictures;
    std::map<uint32_t, size_t> available;
    for (const LabelledPicture& picture : pictures) ++available[picture.classIndex];
    // One picture more of each class that has one, for as long as that goes; then of classes at equal distances.
    std::map<uint32_t, size_t> wanted;
    for (size_t left = limit, share = 0; left > 0; ++share) {
        std::vector<uint32_t> classes;
        for (const auto& [classIndex, count] : available) {
            if (count > share) classes.push_back(classIndex);
        }
        const size_t taken = std::min(left, classes.size());
        for (size_t i = 0; i < taken; ++i) ++wanted[classes[i * classes.size() / taken]];
        left -= taken;
    }
    std::vector<LabelledPicture> chosen;
    for (const LabelledPicture& picture : pictures) {
        size_t& count = wanted[picture.classIndex];
        if (count == 0) continue;
        --count;
        chosen.push_back(picture);
    }
    return chosen;
}

}  // namespace dunlin::cli
