#include "models/registry.h"

#include <algorithm>
#include <iterator>
#include <numeric>
#include <set>

#include "models/convnext.h"
#include "models/efficientnet.h"
#include "models/mobilenet.h"
#include "models/mobilevit.h"
#include "models/resnet.h"
#include "models/swin.h"
#include "models/vit.h"
#include "runtime/weights/weights_source.h"

namespace dunlin {
namespace {

using TensorShapes = std::map<std::string, std::vector<int64_t>, std::less<>>;

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

// Every member that a file could be of, the likeliest first: those of the families that have one of its tensors; the
// listed ones of these, then other widths of the MobileNets.
std::vector<Architecture> candidates(const TensorShapes& have) {
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
    std::stable_partition(all.begin(), all.end(), [&have](const Architecture& architecture) {
        return architecture.landmark.empty() || have.contains(architecture.landmark);
    });
    return all;
}

bool fits(const Architecture& architecture, const ArchitectureOptions& options, const TensorShapes& have) {
    return countDifferences(architecture.build(options, smallestInput(architecture)), have) == 0;
}

bool heeds(const Architecture& architecture, std::string_view argument) {
    return std::ranges::find(architecture.arguments, argument) != architecture.arguments.end();
}

void preprocessAsTensorFlow(Recognised& found) {
    PreprocessSpec& preprocess = found.architecture.preprocess;
    preprocess.interpolation = Interpolation::Bilinear;
    preprocess.mean = preprocess.deviation = {0.5f, 0.5f, 0.5f};
    found.options.samePadding = true;
}

// DeiT is ViT trained in another way, with pictures of another mean and deviation. Empty: there is no such network.
std::string deitOf(const std::string& name) {
    const std::string vit = "vit_";
    if (!name.starts_with(vit)) return {};
    const Result<Architecture> deit = findArchitecture("deit_" + name.substr(vit.size()));
    return deit.ok() ? deit->name : "";
}

// Tensors do not say how a network pads. What else is known of where it was trained decides.
Recognised betweenTwins(Recognised found, const TensorShapes& have, TrainedWith trainedWith) {
    const std::string prefix = "tf_", name = found.architecture.name;
    if (name.starts_with(prefix)) return found;  // its twin comes before it and would have been found
    const bool hasBackground = found.options.classes == kTensorFlowClasses;
    const bool mayBeTensorFlow = trainedWith == TrainedWith::Unknown;
    Result<Architecture> twin = findArchitecture(prefix + name);
    if (!twin.ok() || !fits(*twin, found.options, have)) {
        if (hasBackground && mayBeTensorFlow && heeds(found.architecture, "pad_type")) preprocessAsTensorFlow(found);
        found.alsoFits = deitOf(name);
        return found;
    }
    found.alsoFits = twin->name;
    if (mayBeTensorFlow && (hasBackground || !found.architecture.hasPublishedWeights)) {
        found.architecture = *std::move(twin);
        found.alsoFits = name;
    }
    return found;
}

// Every network of the registry ends with a classifier, one of these; its rows are the classes.
constexpr const char* kClassifiers[] = {"classifier.weight", "head.fc.weight", "fc.weight", "head.weight"};

// 0: there is no classifier.
Result<int> countClasses(const TensorShapes& have) {
    for (const char* name : kClassifiers) {
        const auto classifier = have.find(name);
        if (classifier == have.end() || classifier->second.empty()) continue;
        const int64_t classes = classifier->second[0];
        if (classes >= 1 && classes <= kMaxClasses) return static_cast<int>(classes);
        return error(StatusCode::BadFile, "%s is %s: the number of classes must be 1 to %d", name,
                     describeShape(classifier->second).c_str(), kMaxClasses);
    }
    return 0;
}

}  // namespace

std::span<const Architecture> architectures() {
    static const std::vector<Architecture> all = [] {
        std::vector<Architecture> families;
        for (const auto& family : {mobilenetArchitectures, efficientnetArchitectures, mobilevitArchitectures,
                                   convnextArchitectures, vitArchitectures, swinArchitectures, resnetArchitectures}) {
            std::ranges::move(family(), std::back_inserter(families));
        }
        return families;
    }();
    return all;
}

Shape smallestInput(const Architecture& architecture) {
    const int side = roundUp(kMinInputSide, architecture.sizeMultiple);
    return {1, side, side, 3};
}

Result<Architecture> findArchitecture(std::string_view name) {
    for (const Architecture& architecture : architectures()) {
        if (architecture.name == name) return architecture;
    }
    if (auto mobilenet = findMobilenet(name)) return *std::move(mobilenet);
    return error(StatusCode::UnknownName, "there is no network '%s'; the nearest names are %s",
                 std::string(name).c_str(), nearestNames(name).c_str());
}

Result<Recognised> recognise(const WeightsSource& weights, TrainedWith trainedWith) {
    const TensorShapes have = shapesOf(weights);
    ArchitectureOptions options;
    DUNLIN_ASSIGN(const int classes, countClasses(have));
    if (classes > 0) options.classes = classes;
    // A ViT that reads the mean of its tokens normalises that instead of them.
    if (have.contains("fc_norm.weight")) options.globalPool = GlobalPool::Average;
    size_t fewest = SIZE_MAX;
    Recognised nearest;
    for (Architecture& architecture : candidates(have)) {
        const size_t differences = countDifferences(architecture.build(options, smallestInput(architecture)), have);
        if (differences >= fewest) continue;
        fewest = differences;
        nearest = {std::move(architecture), options, {}};
        if (fewest == 0) return betweenTwins(std::move(nearest), have, trainedWith);
    }
    return error(StatusCode::BadFile,
                 "no known network has these %zu tensors; %s comes nearest with %zu tensors missing, extra or of "
                 "another shape (give the name of the architecture to see which)",
                 have.size(), nearest.architecture.name.c_str(), fewest);
}

}  // namespace dunlin
