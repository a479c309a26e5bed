// Whether a document can be judged at all: what `bench compare` reads of it is of the type that it is to be.
#pragma once

#include <string>

#include "tools/bench/document.h"

namespace dunlin::bench {

// Absent or null is well: it was not measured. BadInput, naming the file, the row and the field, for a time that is no
// number or negative, samples that are no list of such, and texts and truths that are something else. For a document of
// readDocument().
cli::Check checkComparedFields(const std::string& file, const Json& document);

}  // namespace dunlin::bench
