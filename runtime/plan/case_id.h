// Names of problems: what people type, what documents are compared by, and what a table of forms is looked up by.
#pragma once

#include <string>

#include "runtime/image/preprocess.h"
#include "runtime/plan/lower.h"

namespace dunlin {

// The id of one dispatch of a network: "pointwise/14x14x112-672/hard-swish". Everything that shapes the dispatch is in
// it and nothing else: of two dispatches with one id, only tensors, weights and the chosen form differ. What is usual
// is left out: no activation, symmetric padding, one image, all rows.
std::string caseId(const Graph& graph, const DispatchOrigin& origin, const PreprocessSpec& preprocess);

// What the choice of a form hangs on: the id and the precision ("pointwise/14x14x112-672/hard-swish/fp32"), without
// what costs nothing: where in the batch the first image is, and how pictures are cropped and normalised.
std::string formKey(const Graph& graph, const DispatchOrigin& origin, Precision precision);

// Whether it computes whole maps, as all but strips of large ones do. Else its extent's rows are those of a single
// image.
bool computesEveryRow(const DispatchOrigin& origin);

}  // namespace dunlin
