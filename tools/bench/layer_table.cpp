#include "tools/bench/layer_table.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cctype>
#include <set>

#include "models/model.h"
#include "runtime/plan/kernels.h"
#include "tools/dunlin/files.h"
#include "tools/dunlin/internals.h"

namespace dunlin::bench {
namespace {

using cli::Failure;

// A network whose layers are taken, at its own input size (0) or another.
struct Source {
    std::string architecture;
    int side = 0;
};

// One or two of each family: the sizes that people run on phones, and one larger where its layers are others.
const Source kRepresentatives[] = {{"mobilenetv3_small_100"},
                                   {"mobilenetv3_large_100"},
                                   {"mobilenetv2_100"},
                                   {"mobilenetv1_100"},
                                   {"efficientnet_b0"},
                                   {"efficientnet_lite0"},
                                   {"tf_efficientnetv2_b0"},
                                   {"mobilevit_xxs"},
                                   {"mobilevit_s"},
                                   {"mobilevit_xxs", 224},  // a map that its patches do not divide is resized
                                   {"mobilevitv2_100"},
                                   {"convnext_tiny"},
                                   {"vit_tiny_patch16_224"},
                                   {"deit_tiny_patch16_224"},
                                   {"swin_tiny_patch4_window7_224"},
                                   {"resnet50"}};

std::string lowered(std::string text) {
    std::transform(text.begin(), text.end(), text.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    return text;
}

cli::Check checkFamilies(const std::vector<std::string>& families) {
    std::vector<std::string> known;
    for (const Architecture& architecture : architectures()) {
        if (std::find(known.begin(), known.end(), architecture.family) == known.end()) {
            known.push_back(architecture.family);
        }
    }
    for (const std::string& family : families) {
        const bool exists = std::any_of(known.begin(), known.end(),
                                        [&](const std::string& name) { return lowered(name) == lowered(family); });
        if (exists) continue;
        return Failure{ExitStatus::WrongUse,
                       fmt::format("--family: there is no family {}; there are {}", family, fmt::join(known, ", "))};
    }
    return {};
}

// Of the families that are asked for.
Outcome<std::vector<Source>> chooseSources(const LayerChoice& options) {
    DUNLIN_CLI_TRY(checkFamilies(options.families));
    std::vector<Source> sources;
    for (const std::string& name : options.models) sources.push_back({name});
    if (sources.empty()) sources.assign(std::begin(kRepresentatives), std::end(kRepresentatives));
    std::vector<Source> chosen;
    for (const Source& source : sources) {
        DUNLIN_CLI_ASSIGN(const Architecture architecture, cli::outcomeOf(findArchitecture(source.architecture)));
        const bool ofFamily = options.families.empty() ||
                              std::any_of(options.families.begin(), options.families.end(), [&](const auto& family) {
                                  return lowered(family) == lowered(architecture.family);
                              });
        if (ofFamily) chosen.push_back(source);
    }
    if (!chosen.empty()) return chosen;
    return Failure{ExitStatus::WrongUse, fmt::format("none of {} is of the family {}", fmt::join(options.models, ", "),
                                                     fmt::join(options.families, ", "))};
}

Outcome<std::shared_ptr<const tuning::SourceNetwork>> lowerOne(const std::shared_ptr<const Model>& model,
                                                               const SessionOptions& session,
                                                               const DeviceLimits& limits) {
    const std::string& name = model->architecture.name;
    const auto named = [&](const Failure& failure) { return Failure{failure.status, name + ": " + failure.message}; };
    auto graph = cli::outcomeOf(model->data.buildGraph({session.batch, session.height, session.width, 3}));
    if (!graph.ok()) return named(graph.failure());
    auto network = cli::outcomeOf(lowerNetwork(*graph, session, limits));
    if (!network.ok()) return named(network.failure());
    return std::shared_ptr<const tuning::SourceNetwork>(new tuning::SourceNetwork{
        name, *std::move(graph), *std::move(network), model->data.preprocess, model->data.weights});
}

}  // namespace

Outcome<std::vector<tuning::KernelCase>> layerTable(const LayerChoice& options, Precision precision,
                                                    const DeviceLimits& limits) {
    DUNLIN_CLI_ASSIGN(const std::vector<Source> chosen, chooseSources(options));
    std::vector<std::shared_ptr<const tuning::SourceNetwork>> networks;
    for (const FusionLevel fusion : {FusionLevel::Default, FusionLevel::Max}) {
        for (const Source& source : chosen) {
            dunlin::ModelOptions formula;
            formula.weights = "synthetic";
            DUNLIN_CLI_ASSIGN(const std::shared_ptr<const Model> model,
                              cli::outcomeOf(openModel(source.architecture, formula)));
            SessionOptions session;
            session.batch = static_cast<int>(options.batch);
            const PreprocessSpec& preprocess = model->data.preprocess;
            session.height = source.side ? source.side : preprocess.inputHeight;
            session.width = source.side ? source.side : preprocess.inputWidth;
            if (options.size.height) session.height = static_cast<int>(options.size.height);
            if (options.size.width) session.width = static_cast<int>(options.size.width);
            session.precision = precision;
            session.fusion = fusion;
            session.taps = {"features"};
            DUNLIN_CLI_ASSIGN(auto network, lowerOne(model, session, limits));
            networks.push_back(std::move(network));
        }
    }
    return tuning::casesOf(networks);
}

bool isChosen(const KernelBenchOptions& options, const tuning::KernelCase& problem, const tuning::FormedCase& form) {
    const auto& kernels = options.kernels;
    const bool ofKernel =
        kernels.empty() || std::find(kernels.begin(), kernels.end(), row(problem.kernel()).name) != kernels.end();
    const auto fits = [&](const std::string& filter) {
        const bool isPattern = filter.find_first_of("*?") != std::string::npos;
        return isPattern ? cli::matchesWildcard(filter, form.id) : form.id.find(filter) != std::string::npos;
    };
    return ofKernel && (options.filters.empty() || std::any_of(options.filters.begin(), options.filters.end(), fits));
}

cli::Check checkKernelNames(const std::vector<std::string>& names) {
    std::vector<std::string> known;
    for (const KernelRow& kernel : kernelTable()) known.emplace_back(kernel.name);
    for (const std::string& name : names) {
        if (std::find(known.begin(), known.end(), name) != known.end()) continue;
        return Failure{ExitStatus::WrongUse,
                       fmt::format("--kernel: there is no kernel {}; there are {}", name, fmt::join(known, ", "))};
    }
    return {};
}

}  // namespace dunlin::bench
