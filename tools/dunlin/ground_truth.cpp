#include "tools/dunlin/ground_truth.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <unordered_map>

#include "tools/dunlin/files.h"

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

// Adds the pictures of a folder and of those in it. `above` are the folders that lead here, without links: a link to
// one of them would never end.
Check addPictures(const fs::path& folder, std::set<fs::path>& above, std::vector<std::string>& pictures) {
    std::error_code ignored;
    const fs::path itself = fs::canonical(folder, ignored);
    if (!above.insert(itself).second) return {};
    DUNLIN_CLI_ASSIGN(const std::vector<fs::path> entries, entriesOf(folder));
    for (const fs::path& entry : entries) {
        if (fs::is_directory(entry, ignored)) {
            DUNLIN_CLI_TRY(addPictures(entry, above, pictures));
        } else if (isPictureName(entry)) {
            pictures.push_back(entry.string());
        }
    }
    above.erase(itself);
    return {};
}

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
        }
    }
    return found;
}

// ---- lists

struct Row {
    size_t line = 0;
    std::vector<std::string> fields;
};

std::string_view trimmed(std::string_view text) {
    constexpr std::string_view kSpace = " \t\r";
    text.remove_prefix(std::min(text.find_first_not_of(kSpace), text.size()));
    return text.substr(0, text.find_last_not_of(kSpace) + 1);
}

// Takes one field off the front of the line, with the comma after it. Nothing where a quote is not closed.
std::optional<std::string> takeField(std::string_view& line) {
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
            if (!trimmed(line.substr(i + 1, comma - i - 1)).empty()) return {};
            line.remove_prefix(std::min(comma + 1, line.size()));
            return field;
        }
        field += line[i];
        i += doubled ? 1 : 0;
    }
    return {};
}

// The lines that are not empty, the first `atMost`.
Outcome<std::vector<Row>> parseRows(std::string_view text, size_t atMost) {
    constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";
    if (text.starts_with(kByteOrderMark)) text.remove_prefix(kByteOrderMark.size());
    std::vector<Row> rows;
    for (size_t number = 1; !text.empty() && rows.size() < atMost; ++number) {
        const size_t end = std::min(text.find('\n'), text.size());
        std::string_view line = trimmed(text.substr(0, end));
        text.remove_prefix(std::min(end + 1, text.size()));
        if (line.empty()) continue;
        Row row{number, {}};
        while (!line.empty()) {
            std::optional<std::string> field = takeField(line);
            if (!field) return badInput(fmt::format("line {}: a quote is not closed before the comma", number));
            row.fields.push_back(*std::move(field));
        }
        rows.push_back(std::move(row));
    }
    return rows;
}

bool isPictureRow(const Row& row) {
    return row.fields.size() >= 2 && isPictureName(row.fields[0]);
}

// What a list is besides its classes.
Check checkRows(const std::string& list, const std::vector<Row>& rows, const fs::path& folder) {
    if (rows.empty()) return badInput(list + ": lists no picture");
    std::unordered_map<std::string, size_t> lineOf;
    for (const Row& row : rows) {
        const std::string where = fmt::format("{}: line {}", list, row.line);
        if (row.fields.size() < 2 || row.fields[1].empty()) {
            return badInput(fmt::format("{}: '{}' has no class; a line is picture,class", where, row.fields[0]));
        }
        if (!isPictureName(row.fields[0])) {
            return badInput(fmt::format("{}: '{}' is not the file name of a picture", where, row.fields[0]));
        }
        const auto [first, isNew] = lineOf.emplace(row.fields[0], row.line);
        if (!isNew) return badInput(fmt::format("{}: {} is in line {} too", where, row.fields[0], first->second));
    }
    std::error_code ignored;
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
    for (size_t i = 0; i < found.folders.size(); ++i) {
        std::set<fs::path> above;
        std::vector<std::string> pictures;
        DUNLIN_CLI_TRY(addPictures(found.folders[i], above, pictures));
        if (pictures.empty()) truth.notices.push_back(found.folders[i].string() + ": has no pictures");
        for (std::string& file : pictures) truth.pictures.push_back({std::move(file), match->classIndices[i]});
    }
    if (truth.pictures.empty()) return badInput(folder.string() + ": its class folders have no pictures");
    sortByClass(truth.pictures);
    truth.classIndices = sortedAndUnique(std::move(match->classIndices));
    return truth;
}

bool isTruthList(const fs::path& path, std::string_view text) {
    std::string extension = path.extension().string();
    std::transform(extension.begin(), extension.end(), extension.begin(),
                   [](unsigned char c) { return static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c); });
    if (extension == ".csv") return true;
    const Outcome<std::vector<Row>> rows = parseRows(text, 2);
    return rows.ok() && std::any_of(rows->begin(), rows->end(), isPictureRow);
}

Outcome<GroundTruth> truthOfList(const fs::path& list, std::string_view text, const fs::path& folder,
                                 const ClassCatalogue& catalogue) {
    std::error_code failed;
    if (!fs::exists(folder, failed)) return badInput(folder.string() + ": there is no such folder");
    if (!fs::is_directory(folder, failed)) return badInput(folder.string() + ": is a file, not a folder");
    Outcome<std::vector<Row>> rows = parseRows(text, SIZE_MAX);
    if (!rows.ok()) return badInput(list.string() + ": " + rows.failure().message);
    if (!rows->empty() && !isPictureName(rows->front().fields[0])) rows->erase(rows->begin());  // the columns' titles
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
