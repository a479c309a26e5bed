#include "runtime/weights/name_scheme.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <unordered_map>

#include "runtime/weights/tensor_data.h"

namespace dunlin {
namespace {

// A module's name in the file and its canonical name. '#' stands for the number of a block in the file, '@' for its
// canonical "stage.index". The first rule that fits decides.
struct ModuleRule {
    std::string_view file, canonical;
};

// A file's layout: blocks numbered through in the file, in stages of `stageLengths` blocks in the canonical names.
struct Layout {
    std::string_view name;
    std::string_view mark;  // a tensor that only files of this layout (and of none before it) have
    std::span<const ModuleRule> rules;
    std::span<const int> stageLengths;
    int firstBlock;
    double batchNormEpsilon;
};

// torchvision/models/mobilenetv2.py: a sequence `features` with stem, blocks and head.
constexpr ModuleRule kTorchvisionV2[] = {
    {"features.0.0", "conv_stem"},
    {"features.0.1", "bn1"},
    {"features.1.conv.0.0", "blocks.0.0.conv_dw"},  // the only block that does not expand
    {"features.1.conv.0.1", "blocks.0.0.bn1"},
    {"features.1.conv.1", "blocks.0.0.conv_pw"},
    {"features.1.conv.2", "blocks.0.0.bn2"},
    {"features.#.conv.0.0", "blocks.@.conv_pw"},
    {"features.#.conv.0.1", "blocks.@.bn1"},
    {"features.#.conv.1.0", "blocks.@.conv_dw"},
    {"features.#.conv.1.1", "blocks.@.bn2"},
    {"features.#.conv.2", "blocks.@.conv_pwl"},
    {"features.#.conv.3", "blocks.@.bn3"},
    {"features.18.0", "conv_head"},
    {"features.18.1", "bn2"},
    {"classifier.1", "classifier"},
};
constexpr int kStagesV2[] = {1, 2, 3, 4, 3, 3, 1};

// torchvision/models/mobilenetv3.py: squeeze-excite, where a block has it, moves the projection from 2 to 3 (in the
// first block, which does not expand, from 1 to 2).
constexpr ModuleRule kTorchvisionV3Large[] = {
    {"features.0.0", "conv_stem"},
    {"features.0.1", "bn1"},
    {"features.1.block.0.0", "blocks.0.0.conv_dw"},
    {"features.1.block.0.1", "blocks.0.0.bn1"},
    {"features.1.block.1.0", "blocks.0.0.conv_pw"},
    {"features.1.block.1.1", "blocks.0.0.bn2"},
    {"features.#.block.0.0", "blocks.@.conv_pw"},
    {"features.#.block.0.1", "blocks.@.bn1"},
    {"features.#.block.1.0", "blocks.@.conv_dw"},
    {"features.#.block.1.1", "blocks.@.bn2"},
    {"features.#.block.2.fc1", "blocks.@.se.conv_reduce"},
    {"features.#.block.2.fc2", "blocks.@.se.conv_expand"},
    {"features.#.block.2.0", "blocks.@.conv_pwl"},
    {"features.#.block.2.1", "blocks.@.bn3"},
    {"features.#.block.3.0", "blocks.@.conv_pwl"},
    {"features.#.block.3.1", "blocks.@.bn3"},
    {"features.16.0", "blocks.6.0.conv"},
    {"features.16.1", "blocks.6.0.bn1"},
    {"classifier.0", "conv_head"},
    {"classifier.3", "classifier"},
};
constexpr int kStagesV3Large[] = {1, 2, 3, 4, 2, 3};

constexpr ModuleRule kTorchvisionV3Small[] = {
    {"features.0.0", "conv_stem"},
    {"features.0.1", "bn1"},
    {"features.1.block.0.0", "blocks.0.0.conv_dw"},
    {"features.1.block.0.1", "blocks.0.0.bn1"},
    {"features.1.block.1.fc1", "blocks.0.0.se.conv_reduce"},
    {"features.1.block.1.fc2", "blocks.0.0.se.conv_expand"},
    {"features.1.block.2.0", "blocks.0.0.conv_pw"},
    {"features.1.block.2.1", "blocks.0.0.bn2"},
    {"features.#.block.0.0", "blocks.@.conv_pw"},
    {"features.#.block.0.1", "blocks.@.bn1"},
    {"features.#.block.1.0", "blocks.@.conv_dw"},
    {"features.#.block.1.1", "blocks.@.bn2"},
    {"features.#.block.2.fc1", "blocks.@.se.conv_reduce"},
    {"features.#.block.2.fc2", "blocks.@.se.conv_expand"},
    {"features.#.block.2.0", "blocks.@.conv_pwl"},
    {"features.#.block.2.1", "blocks.@.bn3"},
    {"features.#.block.3.0", "blocks.@.conv_pwl"},
    {"features.#.block.3.1", "blocks.@.bn3"},
    {"features.12.0", "blocks.5.0.conv"},
    {"features.12.1", "blocks.5.0.bn1"},
    {"classifier.0", "conv_head"},
    {"classifier.3", "classifier"},
};
constexpr int kStagesV3Small[] = {1, 2, 3, 2, 3};

// torchvision builds its MobileNetV3 with BatchNorm2d(eps=0.001), its V2 with PyTorch's default.
constexpr Layout kLayouts[] = {
    {"torchvision MobileNetV2", "features.1.conv.0.0.weight", kTorchvisionV2, kStagesV2, 1, 0},
    {"torchvision MobileNetV3-Large", "features.16.0.weight", kTorchvisionV3Large, kStagesV3Large, 1, 1e-3},
    {"torchvision MobileNetV3-Small", "features.12.0.weight", kTorchvisionV3Small, kStagesV3Small, 1, 1e-3},
};

constexpr std::string_view kWrapperPrefixes[] = {"module.", "model.", "_orig_mod."};

// The block's number where `name` fits the pattern; -1 for a pattern without a number; nothing where it does not fit.
std::optional<int> match(std::string_view pattern, std::string_view name) {
    const size_t hash = pattern.find('#');
    if (hash == std::string_view::npos) return pattern == name ? std::optional(-1) : std::nullopt;
    const std::string_view after = pattern.substr(hash + 1);
    if (!name.starts_with(pattern.substr(0, hash))) return std::nullopt;
    int number = 0;
    const auto [end, problem] = std::from_chars(name.data() + hash, name.data() + name.size(), number);
    if (problem != std::errc() || number < 0) return std::nullopt;
    const std::string_view rest = name.substr(static_cast<size_t>(end - name.data()));
    return rest == after ? std::optional(number) : std::nullopt;
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

std::optional<std::string> canonicalModule(const Layout& layout, std::string_view module) {
    for (const ModuleRule& rule : layout.rules) {
        const std::optional<int> block = match(rule.file, module);
        if (!block) continue;
        std::string canonical(rule.canonical);
        const size_t at = canonical.find('@');
        if (at == std::string::npos) return canonical;
        const std::optional<std::string> place = stageAndIndex(layout, *block);
        if (!place) return std::nullopt;
        return canonical.replace(at, 1, *place);
    }
    return std::nullopt;
}

std::string canonicalName(const Layout& layout, std::string_view name) {
    const size_t dot = name.rfind('.');
    if (dot == std::string_view::npos) return std::string(name);
    const std::optional<std::string> module = canonicalModule(layout, name.substr(0, dot));
    return module ? *module + std::string(name.substr(dot)) : std::string(name);
}

// How many bytes wrappers have put before every name.
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

const Layout* findLayout(const std::vector<TensorInfo>& tensors, size_t prefixBytes) {
    const auto has = [&](std::string_view name) {
        return std::ranges::any_of(tensors, [&](const TensorInfo& tensor) {
            return std::string_view(tensor.name).substr(prefixBytes) == name;
        });
    };
    for (const Layout& layout : kLayouts) {
        if (has(layout.mark)) return &layout;
    }
    return nullptr;
}

class RenamedWeights final : public CanonicalWeights {
  public:
    RenamedWeights(std::shared_ptr<const WeightsSource> source, NameScheme scheme)
        : source_(std::move(source)), scheme_(std::move(scheme)) {}

    Status rename(const Layout* layout, size_t prefixBytes) {
        for (const TensorInfo& original : source_->tensors()) {
            TensorInfo tensor = original;
            const std::string_view stripped = std::string_view(original.name).substr(prefixBytes);
            tensor.name = layout != nullptr ? canonicalName(*layout, stripped) : std::string(stripped);
            // torchvision classifies with two Linear layers; timm's first one is a 1x1 convolution
            if (layout != nullptr && tensor.name == "conv_head.weight" && tensor.shape.size() == 2) {
                tensor.shape.insert(tensor.shape.end(), {1, 1});
            }
            tensors_.push_back(std::move(tensor));
        }
        for (size_t i = 0; i < tensors_.size(); ++i) {
            const auto [other, isNew] = byName_.emplace(tensors_[i].name, i);
            if (isNew) continue;
            return error(StatusCode::BadFile, "the tensors %s and %s of the file would both be %s",
                         source_->tensors()[other->second].name.c_str(), source_->tensors()[i].name.c_str(),
                         tensors_[i].name.c_str());
        }
        return {};
    }

    const std::vector<TensorInfo>& tensors() const override { return tensors_; }
    bool isFormula() const override { return source_->isFormula(); }
    const NameScheme& scheme() const override { return scheme_; }

    std::string_view originalName(std::string_view canonicalName) const override {
        const auto found = byName_.find(canonicalName);
        return found == byName_.end() ? std::string_view() : std::string_view(source_->tensors()[found->second].name);
    }

    Status read(std::string_view name, std::span<const int64_t> shape, std::span<float> values) const override {
        const auto found = byName_.find(name);
        if (found == byName_.end()) {
            if (source_->isFormula()) return source_->read(name, shape, values);
            return error(StatusCode::BadFile, "has no tensor %s", printable(name).c_str());
        }
        DUNLIN_TRY(checkRead(tensors_[found->second], shape, values.size()));
        const TensorInfo& original = source_->tensors()[found->second];
        return source_->read(original.name, original.shape, values);
    }

  private:
    std::shared_ptr<const WeightsSource> source_;
    NameScheme scheme_;
    std::vector<TensorInfo> tensors_;                      // in the order of the source's
    std::unordered_map<std::string_view, size_t> byName_;  // into the names of tensors_
};

}  // namespace

Result<std::shared_ptr<const CanonicalWeights>> withCanonicalNames(std::shared_ptr<const WeightsSource> source) {
    const size_t prefixBytes = sharedPrefixBytes(source->tensors());
    const Layout* layout = findLayout(source->tensors(), prefixBytes);
    NameScheme scheme{"timm", 0, false};
    if (layout != nullptr) scheme = {std::string(layout->name), layout->batchNormEpsilon, true};
    auto renamed = std::make_shared<RenamedWeights>(std::move(source), std::move(scheme));
    DUNLIN_TRY(renamed->rename(layout, prefixBytes));
    return std::shared_ptr<const CanonicalWeights>(std::move(renamed));
}

}  // namespace dunlin
