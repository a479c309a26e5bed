#include "runtime/weights/synthetic.h"

#include <cmath>

#include "runtime/weights/tensor_data.h"

namespace dunlin {
namespace {

uint64_t fnv1a64(std::string_view text) {
    uint64_t hash = 0xcbf29ce484222325u;
    for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3u;
    return hash;
}

// splitmix64
float noiseAt(uint64_t hash, uint64_t index) {
    uint64_t z = hash + (index + 1) * 0x9E3779B97F4A7C15u;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    z = z ^ (z >> 31);
    return static_cast<float>(z >> 40) * 0x1p-23f - 1.0f;  // exact: 24 bits
}

// value = offset + scale * noise
struct Spread {
    float offset, scale;
};

Spread spreadOf(std::string_view lastPart, std::span<const int64_t> shape) {
    const size_t dimensions = shape.size();
    if (lastPart == "running_var") return {1.0f, 0.5f};
    if (lastPart == "running_mean") return {0.0f, 0.1f};
    if (lastPart == "gamma") return {0.5f, 0.25f};
    if (lastPart == "weight" && dimensions == 1) return {1.0f, 0.2f};
    if (lastPart == "bias" || dimensions <= 1) return {0.0f, 0.1f};
    if (lastPart == "pos_embed" || lastPart == "cls_token" || lastPart == "relative_position_bias_table") {
        return {0.0f, 0.2f};
    }
    double fanIn = 1;
    for (const int64_t dimension : shape.subspan(1)) fanIn *= static_cast<double>(dimension);
    const double gain = dimensions == 4 ? 4 : 3;
    return {0.0f, static_cast<float>(std::sqrt(gain / fanIn))};
}

// The product is rounded to float32 before the sum, also where the machine could do both at once.
float spread(const Spread& by, float noise) {
    const auto product = static_cast<float>(static_cast<double>(by.scale) * noise);
    return by.offset + product;
}

class FormulaWeights final : public WeightsSource {
  public:
    explicit FormulaWeights(std::map<std::string, double> scale) : runningVarianceScale_(std::move(scale)) {}

    const std::vector<TensorInfo>& tensors() const override { return none_; }
    bool isFormula() const override { return true; }

    Status read(std::string_view name, std::span<const int64_t> shape, std::span<float> values) const override {
        const TensorInfo asked{std::string(name), {shape.begin(), shape.end()}, DType::F32};
        DUNLIN_TRY(checkRead(asked, shape, values.size()));
        const size_t dot = name.rfind('.');
        const std::string_view lastPart = dot == std::string_view::npos ? name : name.substr(dot + 1);
        const Spread by = spreadOf(lastPart, shape);
        formulaNoise(name, values);
        for (float& value : values) value = spread(by, value);
        if (lastPart == "running_var" && dot != std::string_view::npos) scaleVariance(name.substr(0, dot), values);
        return {};
    }

  private:
    void scaleVariance(std::string_view batchNorm, std::span<float> values) const {
        const auto found = runningVarianceScale_.find(std::string(batchNorm));
        if (found == runningVarianceScale_.end()) return;
        for (float& value : values) value = static_cast<float>(value * found->second);
    }

    std::vector<TensorInfo> none_;
    std::map<std::string, double> runningVarianceScale_;
};

}  // namespace

void formulaNoise(std::string_view name, std::span<float> values) {
    const uint64_t hash = fnv1a64(name);
    for (size_t i = 0; i < values.size(); ++i) values[i] = noiseAt(hash, i);
}

std::shared_ptr<const WeightsSource> formulaWeights(std::map<std::string, double> runningVarianceScale) {
    return std::make_shared<FormulaWeights>(std::move(runningVarianceScale));
}

std::vector<float> formulaInput(int n, int height, int width) {
    constexpr size_t kChannels = 3, kCellSide = 32;
    const auto images = static_cast<size_t>(n), rows = static_cast<size_t>(height),
               columns = static_cast<size_t>(width);
    const size_t cellRows = (rows + kCellSide - 1) / kCellSide, cellColumns = (columns + kCellSide - 1) / kCellSide;

    std::vector<float> cells(images * kChannels * cellRows * cellColumns);
    formulaNoise("input.cells", cells);
    std::vector<float> input(images * kChannels * rows * columns);
    formulaNoise("input.noise", input);
    size_t i = 0;
    for (size_t plane = 0; plane < images * kChannels; ++plane) {
        for (size_t y = 0; y < rows; ++y) {
            const float* cellRow = cells.data() + (plane * cellRows + y / kCellSide) * cellColumns;
            for (size_t x = 0; x < columns; ++x, ++i) input[i] = 1.5f * cellRow[x / kCellSide] + 0.5f * input[i];
        }
    }
    return input;
}

}  // namespace dunlin
