// dunlin.h: architectures and models.
#include <algorithm>
#include <memory>
#include <string>

#include "dunlin/dunlin.h"
#include "models/model.h"
#include "models/registry.h"
#include "runtime/api_support.h"

namespace dunlin::api {
namespace {

Shape defaultInput(const PreprocessSpec& preprocess) {
    return {1, preprocess.inputHeight, preprocess.inputWidth, 3};
}

void fillInfo(const Architecture& architecture, DunlinArchitectureInfo& info) {
    const Graph graph = architecture.build({}, defaultInput(architecture.preprocess));
    info.name = architecture.name.c_str();
    info.family = architecture.family.c_str();
    info.parameters = static_cast<uint64_t>(parameterCount(graph));
    info.macs = static_cast<uint64_t>(multiplyAdds(graph));
    info.inputHeight = static_cast<uint32_t>(architecture.preprocess.inputHeight);
    info.inputWidth = static_cast<uint32_t>(architecture.preprocess.inputWidth);
}

void fillInfo(const OpenModel& open, DunlinModelInfo& info) {
    const Model& model = *open.model;
    const PreprocessSpec& preprocess = model.data.preprocess;
    info.architecture = model.architecture.name.c_str();
    info.family = model.architecture.family.c_str();
    info.weights = model.weightsDescription.c_str();
    info.weightsBytes = model.weightsBytes;
    info.parameters = open.parameters;
    info.macs = open.macs;
    info.classes = static_cast<uint32_t>(model.data.classes);
    info.labelOffset = static_cast<uint32_t>(model.labelOffset);
    info.labelCount = static_cast<uint32_t>(model.labels.size());
    info.inputHeight = static_cast<uint32_t>(preprocess.inputHeight);
    info.inputWidth = static_cast<uint32_t>(preprocess.inputWidth);
    std::ranges::copy(preprocess.mean, info.mean);
    std::ranges::copy(preprocess.deviation, info.deviation);
    info.cropFraction = preprocess.cropFraction;
    info.interpolation = preprocess.interpolation == Interpolation::Bicubic ? DUNLIN_INTERPOLATION_BICUBIC
                                                                            : DUNLIN_INTERPOLATION_BILINEAR;
    info.swapRedBlue = preprocess.swapRedBlue;
    info.squash = preprocess.squash;
}

Result<std::shared_ptr<const OpenModel>> open(const char* name, const DunlinModelOptions& options) {
    ModelOptions plain;
    plain.architecture = textOrEmpty(options.architecture);
    plain.weights = textOrEmpty(options.weights);
    plain.modelArguments = textOrEmpty(options.modelArguments);
    plain.config = textOrEmpty(options.config);
    if ((options.weightsData == nullptr) != (options.weightsDataBytes == 0)) {
        return error(StatusCode::InvalidArgument, "weightsData is %s, but weightsDataBytes is %llu",
                     options.weightsData ? "not NULL" : "NULL",
                     static_cast<unsigned long long>(options.weightsDataBytes));
    }
    if (options.weightsData) {
        // Borrowed: the caller keeps it.
        plain.bytes = FileBytes{
            name,
            {static_cast<const std::byte*>(options.weightsData), static_cast<size_t>(options.weightsDataBytes)},
            {}};
    }
    DUNLIN_ASSIGN(std::shared_ptr<const Model> model, openModel(name, plain));
    DUNLIN_ASSIGN(const Graph graph, model->data.buildGraph(defaultInput(model->data.preprocess)));
    return std::shared_ptr<const OpenModel>(std::make_shared<OpenModel>(OpenModel{
        std::move(model), static_cast<uint64_t>(parameterCount(graph)), static_cast<uint64_t>(multiplyAdds(graph))}));
}

}  // namespace
}  // namespace dunlin::api

using namespace dunlin;
using namespace dunlin::api;

DunlinStatus dunlinEnumerateArchitectures(uint32_t* count, DunlinArchitectureInfo* infos, DunlinError* error) {
    return guarded(error, [&]() -> Status {
        DUNLIN_TRY(checkPresent(count, "count"));
        const auto all = architectures();
        return enumerate(all.size(), count, infos, DUNLIN_STRUCTURE_TYPE_ARCHITECTURE_INFO, "DunlinArchitectureInfo",
                         [&](uint32_t i, DunlinArchitectureInfo& info) { fillInfo(all[i], info); });
    });
}

DunlinStatus dunlinOpenModel(const char* name, const DunlinModelOptions* options, DunlinModel* model,
                             DunlinError* error) {
    return guarded(error, [&]() -> Status {
        DUNLIN_TRY(checkPresent(model, "model"));
        *model = nullptr;
        DUNLIN_TRY(checkPresent(name, "name"));
        const auto defaults = defaultsOf<DunlinModelOptions>(DUNLIN_STRUCTURE_TYPE_MODEL_OPTIONS);
        const DunlinModelOptions& chosen = options ? *options : defaults;
        DUNLIN_TRY(checkHead(&chosen, DUNLIN_STRUCTURE_TYPE_MODEL_OPTIONS, "DunlinModelOptions"));
        DUNLIN_ASSIGN(auto opened, open(name, chosen));
        *model = new DunlinModel_T{std::move(opened)};
        return {};
    });
}

void dunlinDestroyModel(DunlinModel model) {
    delete model;
}

DunlinStatus dunlinGetModelInfo(DunlinModel model, DunlinModelInfo* info, DunlinError* error) {
    return guarded(error, [&]() -> Status {
        DUNLIN_TRY(checkPresent(model, "model"));
        DUNLIN_TRY(checkHead(info, DUNLIN_STRUCTURE_TYPE_MODEL_INFO, "DunlinModelInfo"));
        fillInfo(*model->open, *info);
        return {};
    });
}

const char* dunlinGetModelLabel(DunlinModel model, uint32_t classIndex) {
    if (!model || classIndex >= model->open->model->labels.size()) return nullptr;
    return model->open->model->labels[classIndex].c_str();
}
