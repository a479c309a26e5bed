#include "tools/dunlin/class_matching.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <map>
#include <numeric>
#include <optional>
#include <unordered_map>

#include "tools/dunlin/text.h"

namespace dunlin::cli {
namespace {

using Candidates = std::vector<uint32_t>;

// How a name may mean a class by itself, in the order in which they are tried.
constexpr std::array kWays = {ClassNaming::Label, ClassNaming::WordNetId, ClassNaming::Number};

Failure badInput(std::string message) {
    return {ExitStatus::BadInput, std::move(message)};
}

// What labels are compared by: folders cannot have a slash in their name, and often have no spaces or capitals.
std::string labelKey(std::string_view label) {
    std::string key = lowered(label);
    for (char& c : key) {
        if (c == '_' || c == '/') c = ' ';
    }
    return key;
}

// The classes that a name may mean, each way.
class Finder {
  public:
    explicit Finder(const ClassCatalogue& catalogue) : catalogue_(catalogue) {
        for (uint32_t i = 0; i < catalogue.labels.size(); ++i) {
            if (!catalogue.labels[i].empty()) byLabel_[labelKey(catalogue.labels[i])].push_back(i);
        }
        for (uint32_t i = 0; i < catalogue.wordNetIds.size(); ++i) {
            if (!catalogue.wordNetIds[i].empty()) byWordNetId_[catalogue.wordNetIds[i]].push_back(i);
        }
    }

    Candidates find(const std::string& name, ClassNaming naming) const {
        switch (naming) {
            case ClassNaming::Label:
                return in(byLabel_, labelKey(name));
            case ClassNaming::WordNetId:
                return in(byWordNetId_, name);
            case ClassNaming::Number:
                return byNumber(name);
            case ClassNaming::Order:
                break;
        }
        return {};
    }

  private:
    using Index = std::unordered_map<std::string, Candidates>;

    static Candidates in(const Index& index, const std::string& key) {
        const auto found = index.find(key);
        return found == index.end() ? Candidates() : found->second;
    }

    Candidates byNumber(const std::string& name) const {
        uint32_t number = 0;
        const auto [end, bad] = std::from_chars(name.data(), name.data() + name.size(), number);
        if (bad != std::errc() || end != name.data() + name.size() || number >= catalogue_.realClasses()) return {};
        return {number + catalogue_.labelOffset};
    }

    const ClassCatalogue& catalogue_;
    Index byLabel_, byWordNetId_;
};

// "by label ('cat', 'dog' ... 10 in all), by WordNet id ('n01440764' ...) or by class number (0 to 9)"
std::string whatFits(const ClassCatalogue& catalogue) {
    constexpr size_t kShown = 3;
    std::string text;
    const std::span labels =
        std::span(catalogue.labels).subspan(std::min<size_t>(catalogue.labelOffset, catalogue.labels.size()));
    if (!labels.empty()) {
        text = "by label (";
        for (size_t i = 0; i < labels.size() && i < kShown; ++i)
            text += fmt::format("{}'{}'", i ? ", " : "", labels[i]);
        text += labels.size() > kShown ? fmt::format(" ... {} in all), ", labels.size()) : "), ";
    }
    const auto id = std::find_if(catalogue.wordNetIds.begin(), catalogue.wordNetIds.end(),
                                 [](const std::string& candidate) { return !candidate.empty(); });
    if (id != catalogue.wordNetIds.end()) text += fmt::format("by WordNet id ('{}' ...), ", *id);
    if (!text.empty()) text = text.substr(0, text.size() - 2) + " or ";
    text += fmt::format("by class number (0 to {})", std::max(catalogue.realClasses(), 1u) - 1);
    if (labels.empty()) text += ", or by label or WordNet id with --labels FILE";
    return text;
}

Failure fitsNone(size_t misfit, std::optional<ClassNaming> others, size_t count, const ClassCatalogue& catalogue,
                 const NameKind& kind) {
    std::string message = kind.where(misfit) + " fits no class";
    if (others) message += fmt::format(", while others fit by {}", namingText(*others));
    message += fmt::format("; classes are named {}", whatFits(catalogue));
    if (kind.folders && !others) {
        message += fmt::format("; folders in sorted order would have to be {}, not {}", catalogue.realClasses(), count);
    }
    return badInput(std::move(message));
}

// The one class of each name, whose candidates these are.
Outcome<ClassMatch> decide(ClassNaming naming, std::span<const Candidates> candidates, const ClassCatalogue& catalogue,
                           const NameKind& kind) {
    ClassMatch match{naming, {}};
    std::map<uint32_t, size_t> nameOf;
    for (size_t i = 0; i < candidates.size(); ++i) {
        const uint32_t classIndex = candidates[i].front();
        if (candidates[i].size() > 1) {
            return badInput(fmt::format("{} is the {} of classes {} and {}; give the class number", kind.where(i),
                                        namingText(naming), classIndex - std::min(classIndex, catalogue.labelOffset),
                                        candidates[i][1] - std::min(candidates[i][1], catalogue.labelOffset)));
        }
        const auto [other, isNew] = nameOf.emplace(classIndex, i);
        if (!isNew && kind.folders) {
            return badInput(fmt::format("{} means the same class as {}", kind.where(i), kind.where(other->second)));
        }
        match.classIndices.push_back(classIndex);
    }
    return match;
}

ClassMatch inOrder(std::span<const std::string> names, uint32_t labelOffset) {
    std::vector<size_t> sorted(names.size());
    std::iota(sorted.begin(), sorted.end(), size_t{0});
    std::sort(sorted.begin(), sorted.end(), [&](size_t a, size_t b) { return names[a] < names[b]; });
    ClassMatch match{ClassNaming::Order, std::vector<uint32_t>(names.size())};
    for (size_t rank = 0; rank < sorted.size(); ++rank) {
        match.classIndices[sorted[rank]] = static_cast<uint32_t>(rank) + labelOffset;
    }
    return match;
}

}  // namespace

const char* namingText(ClassNaming naming) {
    switch (naming) {
        case ClassNaming::Label:
            return "label";
        case ClassNaming::WordNetId:
            return "WordNet id";
        case ClassNaming::Number:
            return "number";
        case ClassNaming::Order:
            break;
    }
    return "order";
}

Outcome<ClassMatch> matchClasses(std::span<const std::string> names, const ClassCatalogue& catalogue,
                                 const NameKind& kind) {
    if (kind.folders && names.size() > catalogue.realClasses()) {
        return badInput(fmt::format("{} class folders, the network has {} classes{}", names.size(),
                                    catalogue.realClasses(), catalogue.labelOffset ? " besides background" : ""));
    }
    const Finder finder(catalogue);
    size_t mostFits = 0, misfit = 0;
    std::optional<ClassNaming> best;
    for (const ClassNaming naming : kWays) {
        std::vector<Candidates> candidates;
        for (const std::string& name : names) candidates.push_back(finder.find(name, naming));
        const auto isMisfit = [](const Candidates& classes) { return classes.empty(); };
        const auto first = std::find_if(candidates.begin(), candidates.end(), isMisfit);
        if (first == candidates.end()) return decide(naming, candidates, catalogue, kind);
        const size_t fits =
            names.size() - static_cast<size_t>(std::count_if(candidates.begin(), candidates.end(), isMisfit));
        if (fits <= mostFits) continue;
        mostFits = fits;
        misfit = static_cast<size_t>(first - candidates.begin());
        best = naming;
    }
    // One name that fits shows what was meant by all; the order would then put the others silently elsewhere.
    if (kind.folders && !best && names.size() == catalogue.realClasses()) return inOrder(names, catalogue.labelOffset);
    return fitsNone(misfit, best, names.size(), catalogue, kind);
}

bool fitsAnyClass(const std::string& name, const ClassCatalogue& catalogue) {
    const Finder finder(catalogue);
    return std::any_of(kWays.begin(), kWays.end(), [&](ClassNaming way) { return !finder.find(name, way).empty(); });
}

}  // namespace dunlin::cli
