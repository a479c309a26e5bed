#include "runtime/weights/name_schemes/layout.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include "runtime/weights/name_schemes/layouts.h"

namespace dunlin {
namespace {

constexpr std::string_view kWrapperPrefixes[] = {"module.", "model.", "_orig_mod."};

size_t sharedPrefixBytes(const std::vector<TensorInfo>& tensors) {
    size_t bytes = 0;
    for (bool found = !tensors.empty(); found;) {
        found = false;
        for (const std::string_view prefix : kWrapperPrefixes) {
            const auto hasPrefix = [&](const TensorInfo& tensor) {
                return tensor.name.size() > bytes + prefix.size() &&
                       tensor.name.compare(bytes, prefix.size(), prefix) == 0;
            };
            if (!std::ranges::all_of(tensors, hasPrefix)) continue;
            bytes += prefix.size();
            found = true;
        }
    }
    return bytes;
}

// What a pattern's placeholders stand for, and what follows the pattern.
struct Match {
    std::vector<int> numbers;
    std::string_view own;  // '*'
    std::string_view rest;
};

bool isDigit(char c) {
    return c >= '0' && c <= '9';
}

std::optional<Match> matchBeginning(std::string_view pattern, std::string_view name) {
    Match match{{}, {}, name};
    for (const char expected : pattern) {
        if (expected == '*') {
            if (match.rest.empty() || match.rest.find('.') != std::string_view::npos) return std::nullopt;
            match.own = std::exchange(match.rest, {});
        } else if (expected == '#') {
            if (match.rest.empty() || !isDigit(match.rest[0])) return std::nullopt;
            int number = 0;
            const auto [end, problem] =
                std::from_chars(match.rest.data(), match.rest.data() + match.rest.size(), number);
            if (problem != std::errc()) return std::nullopt;
            match.numbers.push_back(number);
            match.rest.remove_prefix(static_cast<size_t>(end - match.rest.data()));
        } else {
            if (match.rest.empty() || match.rest[0] != expected) return std::nullopt;
            match.rest.remove_prefix(1);
        }
    }
    return match;
}

// "stage.index" of a block by its number in the file.
std::optional<std::string> stageAndIndex(const Layout& layout, int block) {
    int index = block - layout.firstBlock;
    for (size_t stage = 0; index >= 0 && stage < layout.stageLengths.size(); ++stage) {
        if (index < layout.stageLengths[stage]) return std::to_string(stage) + "." + std::to_string(index);
        index -= layout.stageLengths[stage];
    }
    return std::nullopt;
}

// A canonical pattern with what the file's has matched. Nothing for a block that no stage has.
std::optional<std::string> fill(const Layout& layout, std::string_view pattern, const Match& match) {
    std::string text;
    size_t next = 0;
    for (const char c : pattern) {
        if (c == '*') {
            text += match.own;
        } else if (c == '#') {
            text += std::to_string(match.numbers[next++]);
        } else if (c == '@') {
            const std::optional<std::string> place = stageAndIndex(layout, match.numbers[next++]);
            if (!place) return std::nullopt;
            text += *place;
        } else {
            text += c;
        }
    }
    return text;
}

// In their order.
std::vector<Part> unpacked(PackedParts text) {
    std::vector<Part> parts;
    while (!text.empty()) {
        Part part;
        part.shape = static_cast<ShapeChange>(text[0]);
        part.piece = text[1];
        part.pieces = text[2];
        text.remove_prefix(3);
        for (std::string_view* name : {&part.file, &part.canonical}) {
            *name = text.substr(0, text.find('\0'));
            text.remove_prefix(name->size() + 1);
        }
        parts.push_back(part);
    }
    return parts;
}

// `match` is where the block lies.
std::optional<CanonicalPart> matchParts(const Layout& layout, const BlockLayout& block, const Place& place,
                                        const Match& match) {
    std::string_view inner = match.rest;
    if (!place.file.empty()) inner.remove_prefix(1);  // the dot
    for (const Part& part : unpacked(block.parts)) {
        const std::optional<Match> own = matchBeginning(part.file, inner);
        if (!own || !own->rest.empty()) continue;
        if (part.canonical.empty()) return CanonicalPart{};
        const auto module = fill(layout, place.canonical, match), tensor = fill(layout, part.canonical, *own);
        if (!module || !tensor) return std::nullopt;
        return CanonicalPart{module->empty() ? *tensor : *module + "." + *tensor, part.shape, part.piece, part.pieces};
    }
    return std::nullopt;
}

std::optional<CanonicalPart> matchBlock(const Layout& layout, const BlockLayout& block, const FileNames& names,
                                        std::string_view name) {
    for (const Place& place : block.places) {
        const std::optional<Match> match = matchBeginning(place.file, name);
        if (!match || (!place.file.empty() && !match->rest.starts_with('.'))) continue;
        if (!block.onlyWith.empty()) {
            std::string mark(name.substr(0, name.size() - match->rest.size()));
            mark.append(".").append(block.onlyWith);
            if (names.find(layout.prefix, mark) == nullptr) continue;
        }
        if (auto part = matchParts(layout, block, place, *match)) return part;
    }
    return std::nullopt;
}

bool hasSigns(const Layout& layout, const FileNames& names) {
    return std::ranges::all_of(layout.signs, [&](const Sign& sign) {
        const TensorInfo* tensor = names.find(layout.prefix, sign.tensor);
        if (tensor == nullptr || sign.dimension < 0) return tensor != nullptr;
        const auto dimension = static_cast<size_t>(sign.dimension);
        return dimension < tensor->shape.size() && tensor->shape[dimension] == sign.size;
    });
}

}  // namespace

FileNames::FileNames(const std::vector<TensorInfo>& tensors) : wrapperBytes_(sharedPrefixBytes(tensors)) {
    for (const TensorInfo& tensor : tensors) {
        byName_.emplace(std::string_view(tensor.name).substr(wrapperBytes_), &tensor);
    }
}

const TensorInfo* FileNames::find(std::string_view prefix, std::string_view name) const {
    if (const auto found = byName_.find(name); found != byName_.end()) return found->second;
    if (prefix.empty()) return nullptr;
    const auto found = byName_.find(std::string(prefix).append(name));
    return found == byName_.end() ? nullptr : found->second;
}

const Layout* findLayout(const FileNames& names) {
    for (const auto layouts : {torchvisionMobileNets(), torchvisionEfficientNets(), torchvisionConvNeXts(),
                               torchvisionTransformers(), huggingFaceMobileViTs()}) {
        for (const Layout& layout : layouts) {
            if (hasSigns(layout, names)) return &layout;
        }
    }
    return nullptr;
}

std::optional<CanonicalPart> canonicalPart(const Layout& layout, const FileNames& names, std::string_view name) {
    if (!layout.prefix.empty() && name.starts_with(layout.prefix)) name.remove_prefix(layout.prefix.size());
    for (const BlockLayout& block : layout.blocks) {
        if (auto part = matchBlock(layout, block, names, name)) return part;
    }
    return std::nullopt;
}

std::optional<std::string> nameOfPiece(const Layout& layout, const FileNames& names, std::string_view name, int piece) {
    const std::string_view inner = name.substr(names.wrapperBytes());
    const auto have = canonicalPart(layout, names, inner);
    if (!have) return std::nullopt;
    const auto fixedText = [](const Part& part) { return part.file.substr(0, part.file.find('*')); };
    // `name` with the text of the other part in the place of its own's.
    const auto renamed = [&](const Part& own, const Part& other) -> std::optional<std::string> {
        const size_t place = own.pieces > 1 ? inner.rfind(fixedText(own)) : std::string_view::npos;
        if (place == std::string_view::npos) return std::nullopt;
        std::string candidate(inner);
        candidate.replace(place, fixedText(own).size(), fixedText(other));
        const auto found = canonicalPart(layout, names, candidate);
        if (!found || found->name != have->name || found->piece != piece) return std::nullopt;
        return std::string(name.substr(0, names.wrapperBytes())) + candidate;
    };
    for (const BlockLayout& block : layout.blocks) {
        const std::vector<Part> parts = unpacked(block.parts);
        for (const Part& own : parts) {
            for (const Part& other : parts) {
                if (auto candidate = renamed(own, other)) return candidate;
            }
        }
    }
    return std::nullopt;
}

}  // namespace dunlin
