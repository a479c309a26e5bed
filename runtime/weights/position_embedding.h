// Position embeddings for a map of another size than the one that they were learnt for.
#pragma once

#include <span>
#include <vector>

namespace dunlin {

// Resizes places of [fromHeight, fromWidth, channels] to [toHeight, toWidth, channels]: bicubic with antialiasing
// (a = -0.5, as Pillow and PyTorch's antialiased interpolation have it), in double. Same sizes give the same numbers.
std::vector<float> resizePositions(std::span<const float> places, int fromHeight, int fromWidth, int toHeight,
                                   int toWidth, int channels);

}  // namespace dunlin
