// How a library names the tensors of a network, as data, and the matching of names against it.
#pragma once

#include <array>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "runtime/weights/name_scheme.h"

namespace dunlin {

// Patterns: '#' is a number; '*', only at the end, is a tensor's own name without a dot ("weight"). A canonical pattern
// takes its '#'s from the file's, in order. '@' is the canonical "stage.index" of a block that the file numbers through
// (see Layout::stageLengths).

// Where blocks of one kind lie: "features.3.#" in the file is "blocks.2.#".
struct Place {
    std::string_view file, canonical;
};

enum class ShapeChange {
    None,
    ToConvolution,  // [out, in] becomes [out, in, 1, 1]; other ranks stay
    ToVector,       // trailing ones go: [c, 1, 1] becomes [c]
};

// A tensor, or a module's, within a block. An empty canonical name leaves the tensor out.
struct Part {
    std::string_view file, canonical;
    ShapeChange shape = ShapeChange::None;
    int piece = 0,
        pieces = 1;  // the canonical tensor is so many of the file's, one after another in its first dimension
};

// Parts as one text, each as its shape, piece and pieces, a character each, and both names, which end with a zero: as
// rows of Part they would have four times the bytes, most of them pointers that are set at each start.
using PackedParts = std::string_view;

// What packed() makes of the parts that `make`, a lambda without captures, returns as an array.
template <typename Make>
constexpr auto packed(Make make) {
    constexpr auto parts = make();
    constexpr size_t bytes = [](const auto& all) {
        size_t sum = 0;
        for (const Part& part : all) sum += 5 + part.file.size() + part.canonical.size();
        return sum;
    }(parts);
    std::array<char, bytes> text = {};
    size_t at = 0;
    for (const Part& part : parts) {
        for (const int number : {static_cast<int>(part.shape), part.piece, part.pieces})
            text[at++] = static_cast<char>(number);
        for (const std::string_view name : {part.file, part.canonical}) {
            for (const char c : name) text[at++] = c;
            text[at++] = 0;
        }
    }
    return text;
}

struct BlockLayout {
    template <size_t bytes>
    constexpr BlockLayout(std::span<const Place> where, std::string_view tensor, const std::array<char, bytes>& text)
        : places(where), onlyWith(tensor), parts(text.data(), bytes) {}

    std::span<const Place> places;
    std::string_view onlyWith;  // a tensor that a block of this kind (and of none after it) has; empty: any
    PackedParts parts;
};

// A tensor that a file must have, with this size in this dimension.
struct Sign {
    std::string_view tensor;
    int dimension = -1;  // -1: whatever its shape
    int64_t size = 0;
};

// The first block, place and part that fit a name decide.
struct Layout {
    std::string_view name;
    std::span<const Sign> signs;  // all of them: a file of this layout, and of none before it
    std::span<const BlockLayout> blocks;
    std::optional<PublishedPreprocess> preprocess;
    double batchNormEpsilon = 0;
    std::string_view prefix = {};            // may stand before some names, or before none
    std::span<const int> stageLengths = {};  // for '@': blocks of each stage ...
    int firstBlock = 0;                      // ... and the number of the first one in the file
};

// A file's tensors by their names without what wrappers put before them. Borrows the list.
class FileNames {
  public:
    explicit FileNames(const std::vector<TensorInfo>& tensors);

    // How many bytes wrappers have put before every name.
    size_t wrapperBytes() const { return wrapperBytes_; }
    // Also finds what has the prefix in the file; null where there is none.
    const TensorInfo* find(std::string_view prefix, std::string_view name) const;

  private:
    size_t wrapperBytes_;
    std::unordered_map<std::string_view, const TensorInfo*> byName_;
};

struct CanonicalPart {
    std::string name;  // empty: left out
    ShapeChange shape = ShapeChange::None;
    int piece = 0, pieces = 1;
};

// The layout of a file; null where it has no known one, as timm's have.
const Layout* findLayout(const FileNames& names);

// What a tensor of the file is; nothing where no rule knows it. `name` is without the wrappers' bytes.
std::optional<CanonicalPart> canonicalPart(const Layout& layout, const FileNames& names, std::string_view name);

// What the file would call another piece of the tensor that `name` (with the wrappers' bytes) is a piece of; nothing
// where the layout does not say.
std::optional<std::string> nameOfPiece(const Layout& layout, const FileNames& names, std::string_view name, int piece);

}  // namespace dunlin
