// Numbers from a formula: any network can run without a download, and references can be computed anywhere.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "runtime/weights/weights_source.h"

namespace dunlin {

// Element i of the noise that belongs to a name: -1 <= u < 1, the same on every machine.
void formulaNoise(std::string_view name, std::span<float> values);

// A source that has any tensor, with values that depend on its canonical name and shape alone (cli.md, "Formula
// weights"). The running variance of a BatchNorm named in the map is multiplied by the factor there.
std::shared_ptr<const WeightsSource> formulaWeights(std::map<std::string, double> runningVarianceScale = {});

// The input that belongs to them, NCHW with three channels: squares of 32x32 with some noise on them.
std::vector<float> formulaInput(int n, int height, int width);

}  // namespace dunlin
