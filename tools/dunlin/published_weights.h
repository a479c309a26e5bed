// Weights that others publish and `dunlin pull` knows by name.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace dunlin::cli {

// How pictures are prepared for these weights, in the words of a config.json.
struct PublishedPreprocessing {
    int side = 224;  // of the square that the network reads
    double cropFraction = 0.875;
    std::string_view interpolation = "bicubic";
    std::array<double, 3> mean = {0.485, 0.456, 0.406};  // of colours in 0..1, red first
    std::array<double, 3> deviation = {0.229, 0.224, 0.225};
};

struct PublishedWeights {
    std::string_view name;  // what the user types: the architecture's, with @publisher where another comes first
    std::string_view architecture;  // as `dunlin models` lists it
    std::string_view url;
    std::string_view sha256;  // of the file: 64 digits, or the first 8 where no more is published
    uint64_t bytes = 0;       // 0: not published
    std::string_view licence, publisher;
    PublishedPreprocessing preprocessing = {};
};

std::span<const PublishedWeights> publishedWeights();

// A file with the names of ImageNet's 1000 classes, one a line, in the order of the networks' outputs.
struct PublishedLabels {
    std::string_view url, sha256;
};
PublishedLabels publishedLabels();

// Null where there are none of this name.
const PublishedWeights* findPublishedWeights(std::string_view name);
// The names that are spelt most alike, as a list for a sentence.
std::string nearestPublishedNames(std::string_view name);

// The config.json that belongs to these weights.
std::string configOf(const PublishedWeights& weights);

}  // namespace dunlin::cli
