// MODEL opened with the runtime's own types, for the commands that look inside.
#pragma once

#include <memory>
#include <string>

#include "models/model.h"
#include "tools/dunlin/commands.h"
#include "tools/dunlin/outcome.h"

namespace dunlin::cli {

// By the rules of model_place.h. `cacheDirectory` empty: there are no pulled models.
Outcome<std::shared_ptr<const Model>> openInside(const ModelChoice& choice, const std::string& cacheDirectory);

}  // namespace dunlin::cli
