// What MODEL means: a model that ships, one that was pulled, or what the library knows by this name or path.
#pragma once

#include <cstddef>
#include <span>
#include <string>

#include "tools/dunlin/commands.h"
#include "tools/dunlin/outcome.h"

namespace dunlin::cli {

// What the library is to open.
struct ModelPlace {
    std::string name;                    // an architecture, a file or folder; what messages call a shipped model
    std::span<const std::byte> weights;  // of a shipped model; empty: in files. Static
    std::string config;                  // of a shipped model
};

// A shipped model comes first; then, where no weights are asked for, a pulled one (`cacheDirectory` empty: there are
// none); then the name as it is.
ModelPlace placeOf(const ModelChoice& choice, const std::string& cacheDirectory);

// The failure to open a model, with a word about `dunlin pull` or the shipped models where that helps. `cacheDirectory`
// empty: nothing can be pulled.
Failure withHint(Failure failure, const ModelChoice& choice, const std::string& cacheDirectory);

}  // namespace dunlin::cli
