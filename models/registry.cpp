#include "models/registry.h"

#include <algorithm>
#include <numeric>
#include <set>

#include "models/mobilenet.h"
#include "models/mobilevit.h"
#include "models/swin.h"
#include "models/vit.h"
#include "runtime/weights/weights_source.h"

namespace dunlin {
namespace {

using TensorShapes = std::map<std::string, std::vector<int64_t>, std::less<>>;

// Tensors that PyTorch saves and that no network needs.
bool isCounter(const std::string& name) {
    return name.ends_with("num_batches_tracked");
}

TensorShapes shapesOf(const WeightsSource& weights) {
    TensorShapes shapes;
    for (const TensorInfo& tensor : weights.tensors()) {
        if (!isCounter(tensor.name)) shapes.emplace(tensor.name, tensor.shape);
    }
    return shapes;
}

// How many tensors differ between what a network needs and what a file has: 0 is a perfect fit.
size_t countDifferences(const Graph& graph, const TensorShapes& have) {
    size_t matching = 0;
    for (const ParameterTensor& need : graph.parameters()) {
        const auto found = have.find(need.name);
        matching += found != have.end() && found->second == need.shape;
    }
    return graph.parameters().size() + have.size() - 2 * matching;
}

size_t editDistance(std::string_view a, std::string_view b) {
    std::vector<size_t> row(b.size() + 1);
    std::iota(row.begin(), row.end(), size_t{0});
    for (size_t i = 0; i < a.size(); ++i) {
        size_t diagonal = std::exchange(row[0], i + 1);
        for (size_t j = 0; j < b.size(); ++j) {
            const size_t substituted = diagonal + (a[i] != b[j]);
            diagonal = row[j + 1];
            row[j + 1] = std::min({substituted, row[j] + 1, row[j + 1] + 1});
        }
    }
    return row.back();
}

std::string nearestNames(std::string_view name) {
    std::vector<std::pair<size_t, std::string>> byDistance;
    for (const Architecture& architecture : architectures()) {
        byDistance.emplace_back(editDistance(name, architecture.name), architecture.name);
    }
    constexpr size_t kShown = 3;
    std::ranges::partial_sort(byDistance, byDistance.begin() + kShown);
    std::string names;
    for (size_t i = 0; i < kShown; ++i) names += (i ? ", " : "") + byDistance[i].second;
    return names;
}

// Every member that a file could be of: the published ones first, then other widths of the same families.
std::vector<Architecture> candidates() {
    std::vector<Architecture> all(architectures().begin(), architectures().end());
    const size_t published = all.size();
    std::set<std::string> prefixes;
    for (size_t i = 0; i < published; ++i) {
        const std::string prefix = all[i].name.substr(0, all[i].name.rfind('_'));
        if (!prefixes.insert(prefix).second) continue;
        for (int width = 10; width <= 200; width += 5) {
            char suffix[8];
            std::snprintf(suffix, sizeof suffix, "_%03d", width);
            if (auto member = findMobilenet(prefix + suffix)) all.push_back(*std::move(member));
        }
    }
    return all;
}

constexpr int kTensorFlowClasses = 1001;  // ImageNet's and, before them, background

// Tensors do not say how a network pads. What else they say of where it was trained decides.
Recognised betweenTwins(Recognised found, const TensorShapes& have) {
    const bool tensorFlow = found.options.classes == kTensorFlowClasses;
    const std::string prefix = "tf_", name = found.architecture.name;
    const bool isTwin = name.starts_with(prefix);
    Result<Architecture> twin = findArchitecture(isTwin ? name.substr(prefix.size()) : prefix + name);
    const bool twinFits =
        twin.ok() && countDifferences(twin->build(found.options, {1, kMinInputSide, kMinInputSide, 3}), have) == 0;
    if (twinFits) {
        found.alsoFits = twin->name;
        if (tensorFlow && !isTwin) {
            found.architecture = *std::move(twin);
            found.alsoFits = name;
        }
    } else if (tensorFlow && !isTwin) {
        PreprocessSpec& preprocess = found.architecture.preprocess;
        preprocess.interpolation = Interpolation::Bilinear;
        preprocess.mean = preprocess.deviation = {0.5f, 0.5f, 0.5f};
        found.options.samePadding = true;
    }
    return found;
}

}  // namespace

std::span<const Architecture> architectures() {
    static const std::vector<Architecture> all = [] {
        std::vector<Architecture> families = mobilenetArchitectures();
        std::ranges::move(mobilevitArchitectures(), std::back_inserter(families));
        std::ranges::move(vitArchitectures(), std::back_inserter(families));
        std::ranges::move(swinArchitectures(), std::back_inserter(families));
        return families;
    }();
    return all;
}

Result<Architecture> findArchitecture(std::string_view name) {
    for (const Architecture& architecture : architectures()) {
        if (architecture.name == name) return architecture;
    }
    if (auto mobilenet = findMobilenet(name)) return *std::move(mobilenet);
    return error(StatusCode::UnknownName, "there is no network '%s'; the nearest names are %s",
                 std::string(name).c_str(), nearestNames(name).c_str());
}

Result<Recognised> recognise(const WeightsSource& weights) {
    const TensorShapes have = shapesOf(weights);
    ArchitectureOptions options;
    // Every network of the registry ends with a classifier; its rows are the classes.
    const auto classifier = have.find("classifier.weight");
    if (classifier != have.end() && !classifier->second.empty()) {
        constexpr int64_t kMaxClasses = 1 << 20;
        if (classifier->second[0] < 1 || classifier->second[0] > kMaxClasses) {
            return error(StatusCode::BadFile, "classifier.weight is %s: the number of classes must be 1 to %lld",
                         describeShape(classifier->second).c_str(), static_cast<long long>(kMaxClasses));
        }
        options.classes = static_cast<int>(classifier->second[0]);
    }
    size_t fewest = SIZE_MAX;
    Recognised nearest;
    for (Architecture& architecture : candidates()) {
        const Graph graph = architecture.build(options, {1, kMinInputSide, kMinInputSide, 3});
        const size_t differences = countDifferences(graph, have);
        if (differences >= fewest) continue;
        fewest = differences;
        nearest = {std::move(architecture), options, {}};
        if (fewest == 0) return betweenTwins(std::move(nearest), have);
    }
    return error(StatusCode::BadFile,
                 "no known network has these %zu tensors; %s comes nearest with %zu tensors missing, extra or of "
                 "another shape (give the name of the architecture to see which)",
                 have.size(), nearest.architecture.name.c_str(), fewest);
}

}  // namespace dunlin
