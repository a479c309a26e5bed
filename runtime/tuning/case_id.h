// Names of problems: what people type and what documents are compared by.
#pragma once

#include <string>

#include "runtime/tuning/kernel_case.h"

namespace dunlin::tuning {

// The id of one dispatch of a network: "pointwise/14x14x112-672/hard-swish". Everything that shapes the dispatch is in
// it and nothing else: of two dispatches with one id, only tensors, weights and the chosen form differ. What is usual
// is left out: no activation, symmetric padding, one image, all rows.
std::string caseId(const SourceNetwork& network, size_t dispatch);

// Whether it computes whole maps, as all but strips of large ones do. Else its extent's rows are those of a single
// image.
bool computesEveryRow(const DispatchOrigin& origin);

}  // namespace dunlin::tuning
