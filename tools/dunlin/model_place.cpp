#include "tools/dunlin/model_place.h"

#include <fmt/format.h>

#include <filesystem>

#include "tools/dunlin/download.h"
#include "tools/dunlin/published_weights.h"
#include "tools/dunlin/pulled_models.h"
#include "tools/dunlin/shipped.h"

namespace dunlin::cli {
namespace fs = std::filesystem;

ModelPlace placeOf(const ModelChoice& choice, const std::string& cacheDirectory) {
    if (const ShippedModel* shipped = findShippedModel(choice.name)) {
        return {choice.name, shipped->weights, std::string(shipped->config)};
    }
    if (!choice.weights.empty() || cacheDirectory.empty() || !isModelName(choice.name)) return {choice.name, {}, {}};
    const fs::path folder = pulledModelsFolder(cacheDirectory) / choice.name;
    std::error_code failed;
    const bool pulled = fs::is_regular_file(folder / kPullRecordName, failed);
    return {pulled ? folder.string() : choice.name, {}, {}};
}

Failure withHint(Failure failure, const ModelChoice& choice, const std::string& cacheDirectory) {
    const bool canPull = canDownload() && !cacheDirectory.empty();
    if (canPull && choice.weights.empty() && findPublishedWeights(choice.name) != nullptr) {
        failure.message += fmt::format("; `dunlin pull {}` downloads published ones", choice.name);
    } else if (failure.status == ExitStatus::WrongUse && isModelName(choice.name) && !shippedModels().empty() &&
               findShippedModel(choice.name) == nullptr) {
        std::string names;
        for (const ShippedModel& model : shippedModels()) {
            names += (names.empty() ? "" : ", ") + std::string(model.name);
        }
        failure.message += "; shipped with weights are " + names;
    }
    return failure;
}

}  // namespace dunlin::cli
