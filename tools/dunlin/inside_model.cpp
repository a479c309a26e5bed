#include "tools/dunlin/inside_model.h"

#include "tools/dunlin/internals.h"
#include "tools/dunlin/model_place.h"

namespace dunlin::cli {

Outcome<std::shared_ptr<const Model>> openInside(const ModelChoice& choice, const std::string& cacheDirectory) {
    const ModelPlace place = placeOf(choice, cacheDirectory);
    ModelOptions options;
    options.architecture = choice.architecture;
    options.weights = choice.weights;
    options.config = place.config;
    if (!place.weights.empty()) options.bytes = FileBytes{place.name, place.weights, {}};
    auto opened = outcomeOf(dunlin::openModel(place.name, options));
    if (!opened.ok()) return withHint(opened.failure(), choice, cacheDirectory);
    return opened;
}

}  // namespace dunlin::cli
