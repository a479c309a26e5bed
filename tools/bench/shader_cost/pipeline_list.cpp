#include "tools/bench/shader_cost/pipeline_list.h"

#include <algorithm>
#include <map>
#include <memory>
#include <span>

#include "models/model.h"
#include "runtime/plan/kernels.h"
#include "runtime/plan/lower.h"
#include "runtime/tuning/kernel_case.h"
#include "tools/dunlin/internals.h"

namespace dunlin::shader_cost {
namespace {

using Network = std::shared_ptr<const tuning::SourceNetwork>;

struct Source {
    const char* architecture;
    bool hasCandidates;  // whether all forms of its layers are listed
};
// One or two of each family, where their layers differ.
constexpr Source kSources[] = {{"mobilenetv1_100", false},
                               {"mobilenetv2_100", false},
                               {"mobilenetv3_large_100", true},
                               {"mobilenetv3_small_100", false},
                               {"efficientnet_b0", false},
                               {"efficientnet_lite0", false},
                               {"tf_efficientnetv2_b0", false},
                               {"mobilevit_xxs", false},
                               {"mobilevit_s", false},
                               {"mobilevitv2_100", false},
                               {"convnext_tiny", false},
                               {"vit_tiny_patch16_224", true},
                               {"swin_tiny_patch4_window7_224", false},
                               {"resnet50", false}};
constexpr int kBatches[] = {1, 8};  // a larger batch fills a device with larger tiles

// Whose forms differ in more than the workgroup. Those of inverted residual are in the plans of the fewest dispatches.
bool hasTilesToChoose(Kernel kernel) {
    if (kernel == Kernel::Preprocess || kernel == Kernel::InvertedResidual) return false;
    return row(kernel).tiles.size() > 1;
}

// Keeps each variant with its first use.
class Pipelines {
  public:
    void addPlan(const tuning::SourceNetwork& network, Use use) {
        for (const Dispatch& dispatch : network.lowered.program.dispatches) add(dispatch.variant, use, network.name);
    }

    void addCandidates(const Network& network, const DeviceLimits& limits) {
        for (const tuning::KernelCase& problem : tuning::casesOf({&network, 1})) {
            if (!hasTilesToChoose(problem.kernel())) continue;
            for (const tuning::FormedCase& form : tuning::formsOf(problem, limits))
                add(form.dispatch.variant, Use::Candidate, network->name);
        }
    }

    std::vector<ListedPipeline> take() {
        std::vector<ListedPipeline> result;
        for (auto& [variant, pipeline] : listed_) result.push_back(std::move(pipeline));
        std::ranges::stable_sort(result, {}, &ListedPipeline::use);
        return result;
    }

  private:
    void add(const Variant& variant, Use use, const std::string& network) {
        for (const Variant& each : withEverySource(variant)) {
            const auto [at, isNew] = listed_.try_emplace(each, ListedPipeline{each, use, {}});
            ListedPipeline& pipeline = at->second;
            if (!isNew && pipeline.use < use) continue;
            if (pipeline.use != use) pipeline = {each, use, {}};
            if (std::ranges::count(pipeline.networks, network) == 0) pipeline.networks.push_back(network);
        }
    }

    // Which source a session is given is known at run time only.
    static std::vector<Variant> withEverySource(const Variant& variant) {
        if (variant.kernel != Kernel::Preprocess) return {variant};
        std::vector<Variant> result;
        for (const auto& tile : row(Kernel::Preprocess).tiles) {
            result.push_back(variant);
            result.back().tileX = tile[0];
            result.back().tileY = tile[1];
        }
        return result;
    }

    std::map<Variant, ListedPipeline> listed_;
};

cli::Outcome<Network> lowerOne(const Model& model, const SessionOptions& session, const DeviceLimits& limits) {
    DUNLIN_CLI_ASSIGN(Graph graph,
                      cli::outcomeOf(model.data.buildGraph({session.batch, session.height, session.width, 3})));
    DUNLIN_CLI_ASSIGN(LoweredNetwork lowered, cli::outcomeOf(lowerNetwork(graph, session, limits)));
    return Network(new tuning::SourceNetwork{model.architecture.name, std::move(graph), std::move(lowered),
                                             model.data.preprocess, model.data.weights});
}

SessionOptions sessionOf(const Model& model, Precision precision, FusionLevel fusion, int batch) {
    SessionOptions session;
    session.batch = batch;
    session.height = model.data.preprocess.inputHeight;
    session.width = model.data.preprocess.inputWidth;
    session.precision = precision;
    session.fusion = fusion;
    session.taps = {"features"};
    return session;
}

}  // namespace

const char* name(Use use) {
    switch (use) {
        case Use::Default:
            return "default";
        case Use::MaxFusion:
            return "fusion max";
        case Use::Candidate:
            return "candidate";
    }
    return "unknown";
}

cli::Outcome<std::vector<ListedPipeline>> listPipelines(const DeviceLimits& limits, Precision precision) {
    Pipelines pipelines;
    for (const Source& source : kSources) {
        ModelOptions formula;
        formula.weights = "synthetic";
        DUNLIN_CLI_ASSIGN(const std::shared_ptr<const Model> model,
                          cli::outcomeOf(openModel(source.architecture, formula)));
        for (const FusionLevel fusion : {FusionLevel::Default, FusionLevel::Max}) {
            for (const int batch : kBatches) {
                const SessionOptions session = sessionOf(*model, precision, fusion, batch);
                DUNLIN_CLI_ASSIGN(const Network network, lowerOne(*model, session, limits));
                pipelines.addPlan(*network, fusion == FusionLevel::Default ? Use::Default : Use::MaxFusion);
                if (source.hasCandidates && batch == 1) pipelines.addCandidates(network, limits);
            }
        }
    }
    return pipelines.take();
}

}  // namespace dunlin::shader_cost
