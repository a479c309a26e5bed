#include "runtime/weights/name_scheme.h"

#include <algorithm>
#include <unordered_map>

#include "runtime/weights/name_schemes/layout.h"
#include "runtime/weights/tensor_data.h"

namespace dunlin {
namespace {

// What follows from an architecture and files of older versions of timm keep all the same (Swin).
bool isDerivedTable(std::string_view name) {
    return name.ends_with(".attn.relative_position_index") || name.ends_with(".attn_mask");
}

void changeShape(ShapeChange change, std::vector<int64_t>& shape) {
    if (change == ShapeChange::ToConvolution && shape.size() == 2) shape.insert(shape.end(), {1, 1});
    if (change != ShapeChange::ToVector) return;
    while (shape.size() > 1 && shape.back() == 1) shape.pop_back();
}

class RenamedWeights final : public CanonicalWeights {
  public:
    RenamedWeights(std::shared_ptr<const WeightsSource> source, NameScheme scheme)
        : source_(std::move(source)), scheme_(std::move(scheme)) {}

    Status rename(const Layout* layout, const FileNames& names) {
        for (const TensorInfo& original : source_->tensors()) {
            const std::string_view stripped = std::string_view(original.name).substr(names.wrapperBytes());
            auto part = layout != nullptr ? canonicalPart(*layout, names, stripped) : std::nullopt;
            if (!part) part = CanonicalPart{isDerivedTable(stripped) ? std::string() : std::string(stripped)};
            if (part->name.empty()) continue;
            DUNLIN_TRY(add(original, *part));
        }
        for (size_t i = 0; i < tensors_.size(); ++i) DUNLIN_TRY(joinPieces(layout, names, tensors_[i], origins_[i]));
        return {};
    }

    const std::vector<TensorInfo>& tensors() const override { return tensors_; }
    bool isFormula() const override { return source_->isFormula(); }
    const NameScheme& scheme() const override { return scheme_; }

    std::string_view originalName(std::string_view canonicalName) const override {
        const auto found = byName_.find(std::string(canonicalName));
        return found == byName_.end() ? std::string_view() : std::string_view(origins_[found->second].name);
    }

    std::string placeOf(std::string_view name) const override {
        const std::string_view original = originalName(name);
        return source_->placeOf(original.empty() ? name : original);
    }

    Status read(std::string_view name, std::span<const int64_t> shape, std::span<float> values) const override {
        const auto found = byName_.find(std::string(name));
        if (found == byName_.end()) {
            if (source_->isFormula()) return source_->read(name, shape, values);
            return error(StatusCode::BadFile, "has no tensor %s", printable(name).c_str());
        }
        DUNLIN_TRY(checkRead(tensors_[found->second], shape, values.size()));
        for (const TensorInfo* piece : origins_[found->second].pieces) {
            const auto count = static_cast<size_t>(elementCount(piece->shape).value_or(0));
            DUNLIN_TRY(source_->read(piece->name, piece->shape, values.first(count)));
            values = values.subspan(count);
        }
        return {};
    }

  private:
    // What a canonical tensor is in the file.
    struct Origin {
        std::string name;
        std::vector<const TensorInfo*> pieces;  // of the source; null: not seen yet
    };

    Status add(const TensorInfo& original, const CanonicalPart& part) {
        const auto [at, isNew] = byName_.emplace(part.name, tensors_.size());
        if (isNew) {
            TensorInfo tensor = original;
            tensor.name = part.name;
            changeShape(part.shape, tensor.shape);
            tensors_.push_back(std::move(tensor));
            origins_.push_back({{}, std::vector<const TensorInfo*>(static_cast<size_t>(part.pieces))});
        }
        std::vector<const TensorInfo*>& pieces = origins_[at->second].pieces;
        const auto piece = static_cast<size_t>(part.piece);
        if (pieces.size() == static_cast<size_t>(part.pieces) && pieces[piece] == nullptr) {
            pieces[piece] = &original;
            return {};
        }
        const TensorInfo* other = *std::ranges::find_if(pieces, [](const TensorInfo* seen) { return seen != nullptr; });
        return error(StatusCode::BadFile, "the tensors %s and %s of the file would both be %s", other->name.c_str(),
                     original.name.c_str(), part.name.c_str());
    }

    Status missingPiece(const Layout& layout, const FileNames& names, const TensorInfo& tensor,
                        const Origin& origin) const {
        const auto missing = std::ranges::find(origin.pieces, nullptr);
        const TensorInfo* other =
            *std::ranges::find_if(origin.pieces, [](const TensorInfo* piece) { return piece != nullptr; });
        const auto number = static_cast<int>(missing - origin.pieces.begin());
        const std::string name = nameOfPiece(layout, names, other->name, number)
                                     .value_or("piece " + std::to_string(number + 1) + " of " + tensor.name);
        return error(StatusCode::BadFile, "the file has no %s, which is a part of %s as %s is", name.c_str(),
                     tensor.name.c_str(), other->name.c_str());
    }

    // The name and, where there are several pieces, the shape of the whole; its type is one of integers if any piece's
    // is. Only layouts make several pieces, so that there is one then.
    Status joinPieces(const Layout* layout, const FileNames& names, TensorInfo& tensor, Origin& origin) const {
        if (std::ranges::find(origin.pieces, nullptr) != origin.pieces.end())
            return missingPiece(*layout, names, tensor, origin);
        int64_t rows = 0;
        for (const TensorInfo* piece : origin.pieces) {
            if (piece->dtype == DType::I64) tensor.dtype = DType::I64;
            origin.name.append(origin.name.empty() ? "" : " + ").append(piece->name);
            if (origin.pieces.size() == 1) continue;
            const std::vector<int64_t>& first = origin.pieces[0]->shape;
            const bool fits = !piece->shape.empty() && piece->shape.size() == first.size() &&
                              std::equal(first.begin() + 1, first.end(), piece->shape.begin() + 1) &&
                              !__builtin_add_overflow(rows, piece->shape[0], &rows);
            if (fits) continue;
            return error(StatusCode::BadFile, "%s %s and %s %s of the file cannot be joined to %s",
                         origin.pieces[0]->name.c_str(), describeShape(first).c_str(), piece->name.c_str(),
                         describeShape(piece->shape).c_str(), tensor.name.c_str());
        }
        if (origin.pieces.size() == 1) return {};
        tensor.shape = origin.pieces[0]->shape;
        tensor.shape[0] = rows;
        return {};
    }

    std::shared_ptr<const WeightsSource> source_;
    NameScheme scheme_;
    std::vector<TensorInfo> tensors_;  // in the order of the source's, of their first pieces there
    std::vector<Origin> origins_;      // of each
    std::unordered_map<std::string, size_t> byName_;
};

}  // namespace

Result<std::shared_ptr<const CanonicalWeights>> withCanonicalNames(std::shared_ptr<const WeightsSource> source) {
    const FileNames names(source->tensors());
    const Layout* layout = findLayout(names);
    NameScheme scheme{.name = "timm"};
    if (layout != nullptr) {  // both libraries are PyTorch's
        scheme = {.name = std::string(layout->name),
                  .batchNormEpsilon = layout->batchNormEpsilon,
                  .padsSymmetrically = true,
                  .preprocess = layout->preprocess};
    }
    auto renamed = std::make_shared<RenamedWeights>(std::move(source), std::move(scheme));
    DUNLIN_TRY(renamed->rename(layout, names));
    return std::shared_ptr<const CanonicalWeights>(std::move(renamed));
}

}  // namespace dunlin
