// makeData: what goes into a problem and what must come out.
#include <algorithm>
#include <cmath>
#include <optional>
#include <set>
#include <utility>

#include "runtime/plan/case_id.h"
#include "runtime/plan/prepack.h"
#include "runtime/plan/stored_layout.h"
#include "runtime/tuning/case_oracle.h"
#include "runtime/tuning/case_tensors.h"
#include "runtime/tuning/kernel_case.h"

namespace dunlin::tuning {
namespace {

using Expected = CaseData::Expected;

// What a call reads beside its main input, where its kind has it.
template <typename Call>
std::optional<Operand> residualOf(const Call& call) {
    if constexpr (requires { call.residual; }) return call.residual;
    return std::nullopt;
}
template <typename Call>
std::optional<Operand> secondOf(const Call& call) {
    if constexpr (requires { call.second; }) return call.second;
    return std::nullopt;
}
template <typename Call>
std::optional<Operand> gateOf(const Call& call) {
    if constexpr (requires { call.imageMoments; }) return call.gate;
    return std::nullopt;
}
template <typename Call>
std::optional<Operand> momentsOf(const Call& call) {
    if constexpr (requires { call.imageMoments; }) return call.imageMoments;
    if constexpr (requires { call.moments; }) return call.moments;
    return std::nullopt;
}
template <typename Call>
std::optional<Operand> sumsOf(const Call& call) {
    if constexpr (requires { call.partialBegin; }) return call.sums;
    return std::nullopt;
}

// Mean, and deviation with epsilon, of each image.
struct Moments {
    double mean = 0, deviation = 0;
};
std::vector<Moments> momentsOfImages(const reference::Tensor& tensor, double epsilon) {
    std::vector<Moments> result(static_cast<size_t>(tensor.shape.n));
    const size_t count = tensor.values.size() / result.size();
    for (size_t image = 0; image < result.size(); ++image) {
        const std::span<const double> values(tensor.values.data() + image * count, count);
        double mean = 0, variance = 0;
        for (const double value : values) mean += value / static_cast<double>(count);
        for (const double value : values) variance += (value - mean) * (value - mean) / static_cast<double>(count);
        result[image] = {mean, std::sqrt(variance + epsilon)};
    }
    return result;
}

// Some rows of every image of a map; rows outside it are zero.
reference::Tensor cropRows(const reference::Tensor& map, int begin, int count) {
    reference::Tensor crop({map.shape.n, count, map.shape.w, map.shape.c});
    for (int n = 0; n < map.shape.n; ++n) {
        for (int y = std::max(begin, 0); y < std::min(begin + count, map.shape.h); ++y) {
            const auto row = static_cast<std::ptrdiff_t>(map.shape.w) * map.shape.c;
            const double* from = map.values.data() + (std::ptrdiff_t{n} * map.shape.h + y) * row;
            std::copy_n(from, row, crop.values.data() + (std::ptrdiff_t{n} * count + y - begin) * row);
        }
    }
    return crop;
}

// The rows of its input that a row of a layer's output needs.
struct RowWindow {
    int size = 1, step = 1, above = 0;
};

class DataMaker {
  public:
    explicit DataMaker(const KernelCase& problem)
        : problem_(problem),
          network_(*problem.network),
          graph_(problem.network->graph),
          program_(problem.network->lowered.program),
          origin_(problem.origin()) {}

    Result<CaseData> run() {
        DUNLIN_TRY(addConstants());
        DUNLIN_TRY(std::visit([&](const auto& call) { return make(call); }, origin_.call));
        double largest = 0;
        for (const Expected& expected : data_.expected) {
            if (expected.isInteger) continue;
            for (const double value : expected.values) largest = std::max(largest, std::abs(value));
        }
        data_.tolerance = largest > 0 ? error_ / largest : error_;
        return std::move(data_);
    }

  private:
    // --- What is read.

    Status addConstants() {
        const std::vector<Constant> constants = constantsOf(graph_, problem_.precision());
        for (const Binding& binding : program_.dispatches[problem_.dispatch].bindings) {
            if (binding.tensor < 0) continue;
            const int index = program_.tensors[static_cast<size_t>(binding.tensor)].constantIndex;
            if (index < 0) continue;
            const Constant& constant = constants[static_cast<size_t>(index)];
            DUNLIN_ASSIGN(const FoldedWeights folded, constantWeights(graph_, constant, *network_.weights));
            std::vector<std::byte>& packed = data_.contents[binding.tensor];
            packed.resize(constant.sizeBytes);
            prepack(graph_, constant, folded, problem_.precision(), packed);
        }
        return {};
    }

    StoredLayout layoutOf(ValueId value, const Operand& operand) const {
        const std::vector<int> parts = channelParts(graph_, value);
        return {channelPositions(parts), storedChannels(parts), operand.groupBytes};
    }

    // The images that the operand's tensor holds.
    Shape shapeOf(ValueId value, const Operand& operand) const {
        Shape shape = graph_.shape(value);
        shape.n = operand.shape.n;
        return shape;
    }

    // Different random numbers for each part that a value plays.
    std::string seedName(const char* role) const { return problem_.id + " " + role; }

    void addInput(ValueId value, const Operand& operand, reference::Tensor tensor) {
        data_.contents[operand.tensor] = layoutOf(value, operand).pack(tensor);
        known_[value] = {std::move(tensor), 0};
    }

    // One value may play several parts: a shortcut often begins where the layer does.
    void addRandom(ValueId value, const std::optional<Operand>& operand, const char* role) {
        if (operand && !known_.contains(value))
            addInput(value, *operand, randomTensor(shapeOf(value, *operand), seedName(role)));
    }

    void addMoments(const Operand& operand, const reference::Tensor& of, double epsilon) {
        reference::Tensor parts({of.shape.n, 1, 1, kChannelGroup});
        const std::vector<Moments> moments = momentsOfImages(of, epsilon);
        const StoredLayout layout(kChannelGroup, operand.groupBytes);
        const auto round = [&](double value) {
            return layout.precision() == Precision::Fp16 ? roundedToHalf(value) : double{static_cast<float>(value)};
        };
        for (int image = 0; image < of.shape.n; ++image) {
            const auto [mean, deviation] = moments[static_cast<size_t>(image)];
            parts.at(image, 0, 0, 0) = round(mean);
            parts.at(image, 0, 0, 1) = mean - round(mean);
            parts.at(image, 0, 0, 2) = round(deviation);
            parts.at(image, 0, 0, 3) = deviation - round(deviation);
        }
        data_.contents[operand.tensor] = layout.pack(parts);
    }

    // --- What is expected.

    // The rows that the dispatch computes, of a map of so many.
    std::pair<int, int> rowsOf(int height) const {
        if (computesEveryRow(origin_)) return {0, height};
        return {origin_.extent.rowBegin, origin_.extent.rowBegin + origin_.extent.rows};
    }

    // Values of some rows of a map; those that are not given must be finite.
    static void expectRows(Expected& expected, const StoredLayout& layout, const Shape& map, int row,
                           const reference::Tensor* values, int rowOfValues) {
        for (int n = 0; n < map.n; ++n) {
            for (int x = 0; x < map.w; ++x) {
                const int64_t pixel = (int64_t{n} * map.h + row) * map.w + x;
                layout.appendPadding(pixel, expected.padding);
                for (int c = 0; c < map.c; ++c) {
                    (values ? expected.offsets : expected.others).push_back(layout.offset(pixel, c));
                    if (values) expected.values.push_back(values->at(n, rowOfValues, x, c));
                }
            }
        }
    }

    void expectMap(const Operand& out, const StoredLayout& layout, const reference::Tensor& values) {
        Expected expected;
        expected.tensor = out.tensor;
        expected.precision = layout.precision();
        const auto [begin, end] = rowsOf(values.shape.h);
        for (int row = begin; row < end; ++row) expectRows(expected, layout, values.shape, row, &values, row);
        data_.expected.push_back(std::move(expected));
    }

    void expectSums(const Operand& sums, const reference::Tensor& map) {
        const auto [begin, end] = rowsOf(map.shape.h);
        const reference::Tensor rows = cropRows(map, begin, end - begin);
        const reference::Tensor* inputs[] = {&rows};
        Expected expected;
        expected.tensor = sums.tensor;
        expected.stored = Expected::Stored::PartialSums;
        expected.values = reference::evaluate(GlobalAvgPool{}, inputs, {}).values;
        expected.sumsShape = {map.shape.n, 1, 1, map.shape.c};
        expected.pixels = static_cast<double>(rows.shape.h) * rows.shape.w;
        data_.expected.push_back(std::move(expected));
    }

    // --- Kernels that compute steps of the graph.

    template <typename Call>
    Status make(const Call& call) {
        const Step& step = *origin_.step;
        constexpr bool isMean = std::is_same_v<Call, PoolCall> || std::is_same_v<Call, PooledLinearCall>;
        if (isMean) addInput(step.input, call.in, randomAroundMeans(shapeOf(step.input, call.in), seedName("input")));
        addRandom(step.input, call.in, "input");
        addRandom(step.second, secondOf(call), "second");
        addRandom(step.residual, residualOf(call), "residual");
        addRandom(step.gate, gateOf(call), "gate");
        if (const std::optional<Operand> moments = momentsOf(call)) {
            const int node = step.normNode >= 0 ? step.normNode : step.node;
            const auto& norm = std::get<LayerNorm>(graph_.nodes()[static_cast<size_t>(node)].op);
            addMoments(*moments, known_.at(step.input).tensor, norm.epsilon);
        }
        DUNLIN_ASSIGN(const StepOracle oracle, oracleOf(step));
        if (isSampled(step)) {
            expectSample(oracle, step, call.out);
            return {};
        }
        const OracleValue result = oracle.evaluate(known_, step.output);
        error_ = result.error;
        expectMap(call.out, layoutOf(step.output, call.out), result.tensor);
        if (const std::optional<Operand> sums = sumsOf(call)) expectSums(*sums, result.tensor);
        return {};
    }

    Result<StepOracle> oracleOf(const Step& step) const {
        return StepOracle::create(graph_, step, nodesOf(graph_, step), problem_.kernel(), problem_.precision(),
                                  *network_.weights);
    }

    // --- Samples of large layers.

    static constexpr int64_t kMostMultiplyAdds = 200'000'000;
    static constexpr int kSampleRun = 8;  // no tile is wider

    int64_t multiplyAddsOf(const Step& step) const {
        int64_t count = 0;
        for (const int node : nodesOf(graph_, step))
            count += multiplyAdds(graph_, graph_.nodes()[static_cast<size_t>(node)]);
        return count;
    }

    // Dense layers, of which every row can be computed by itself. A shortcut around a single convolution would need
    // other rows of one value.
    bool isSampled(const Step& step) const {
        if (step.residual == step.input && windowOf(step).size > 1) return false;
        const bool isDense = problem_.kernel() == Kernel::Conv2d || problem_.kernel() == Kernel::Pointwise;
        const bool isOverImage = std::holds_alternative<PointwiseCall>(origin_.call) &&
                                 std::get<PointwiseCall>(origin_.call).imageMoments.has_value();
        return isDense && !isOverImage && multiplyAddsOf(step) > kMostMultiplyAdds;
    }

    RowWindow windowOf(const Step& step) const {
        if (step.mergedBlock > 0) return {step.mergedBlock, step.mergedBlock, 0};
        if (problem_.kernel() != Kernel::Conv2d) return {};
        const auto& conv = std::get<Conv2d>(graph_.nodes()[static_cast<size_t>(step.node)].op);
        return {conv.kernelH, conv.strideH, conv.padding.top};
    }

    // Runs of rows, from the first to the last and evenly in between, as many as the oracle has time for. Rows of a
    // layer that looks at single pixels are pixels.
    void expectSample(const StepOracle& oracle, const Step& step, const Operand& out) {
        Shape map = shapeOf(step.output, out);
        auto [begin, end] = rowsOf(map.h);
        if (problem_.kernel() == Kernel::Pointwise) {
            begin *= map.w;
            end *= map.w;
            for (auto& [value, known] : known_) {
                Shape& shape = known.tensor.shape;
                if (value != step.gate) shape = {shape.n, shape.h * shape.w, 1, shape.c};
            }
            map = {map.n, map.h * map.w, 1, map.c};
        }
        const int64_t perRow = std::max<int64_t>(multiplyAddsOf(step) / map.h, 1);
        const int most = static_cast<int>(std::max<int64_t>(kMostMultiplyAdds / perRow, 3));
        const int count = std::min(end - begin, most);
        std::set<int> rows;
        // In runs, so that every place of a tile is looked at, whatever the tile.
        const int runs = std::max(count / kSampleRun, 1), length = count / runs;
        for (int run = 0; run < runs; ++run) {
            const auto first = begin + static_cast<int>(int64_t{run} * (end - begin - length) / std::max(runs - 1, 1));
            for (int i = 0; i < length; ++i) rows.insert(first + i);
        }
        rows.insert(end - 1);

        Expected expected;
        expected.tensor = out.tensor;
        const StoredLayout layout = layoutOf(step.output, out);
        expected.precision = layout.precision();
        for (int row = begin; row < end; ++row) {
            if (!rows.contains(row)) {
                expectRows(expected, layout, map, row, nullptr, 0);
                continue;
            }
            const OracleValue value = evaluateRow(oracle, step, row);
            error_ = std::max(error_, value.error);
            expectRows(expected, layout, map, row, &value.tensor, 0);
        }
        data_.expected.push_back(std::move(expected));
    }

    OracleValue evaluateRow(const StepOracle& oracle, const Step& step, int row) const {
        const RowWindow window = windowOf(step);
        std::map<ValueId, OracleValue> cropped;
        for (const auto& [value, known] : known_) {
            const bool isInput = value == step.input || value == step.second;
            const reference::Tensor& map = known.tensor;
            if (value == step.gate) {
                cropped[value] = known;
            } else if (isInput) {
                cropped[value] = {cropRows(map, row * window.step - window.above, window.size), 0};
            } else {
                cropped[value] = {cropRows(map, row, 1), 0};
            }
        }
        return oracle.evaluate(std::move(cropped), step.output, true);
    }

    // --- Kernels of their own kind.

    // From partial sums on: their mean is what the step's pool gives.
    Status make(const SqueezeExciteCall& call) {
        const Step& step = *origin_.step;
        const std::vector<int> nodes = nodesOf(graph_, step);
        const ValueId pooled = graph_.nodes()[static_cast<size_t>(nodes.front())].output;
        const Shape& sums = call.sums.shape;
        const double scale = static_cast<double>(call.pixels) / sums.w;
        reference::Tensor partials = randomTensor(sums, seedName("sums"), 0.05f, 0.4f);
        const reference::Tensor means = randomTensor({sums.n, 1, 1, sums.c}, seedName("means"));
        reference::Tensor mean({sums.n, 1, 1, sums.c});
        for (int n = 0; n < sums.n; ++n) {
            for (int partial = 0; partial < sums.w; ++partial) {
                for (int c = 0; c < sums.c; ++c) {
                    double& sum = partials.at(n, 0, partial, c);
                    sum = double{static_cast<float>((sum + means.at(n, 0, 0, c)) * scale)};
                    mean.at(n, 0, 0, c) += sum / static_cast<double>(call.pixels);
                }
            }
        }
        data_.contents[call.sums.tensor] = StoredLayout(sums.c, call.sums.groupBytes).pack(partials);
        known_[pooled] = {std::move(mean), 0};
        DUNLIN_ASSIGN(const StepOracle oracle, oracleOf(step));
        const OracleValue result = oracle.evaluate(known_, step.output);
        error_ = result.error;
        expectMap(call.gate, layoutOf(step.output, call.gate), result.tensor);
        return {};
    }

    // Each number in two parts, which make up what float16 loses.
    Status make(const MomentsCall& call) {
        const ValueId input = origin_.step->input;
        addRandom(input, call.in, "input");
        const StoredLayout layout(kChannelGroup, call.out.groupBytes);
        Expected expected;
        expected.tensor = call.out.tensor;
        expected.stored = Expected::Stored::TwoParts;
        expected.precision = layout.precision();
        const std::vector<Moments> moments = momentsOfImages(known_.at(input).tensor, double{call.epsilon});
        for (size_t image = 0; image < moments.size(); ++image) {
            const auto pixel = static_cast<int64_t>(image);
            for (const int lane : {0, 2}) expected.offsets.push_back(layout.offset(pixel, lane));
            for (const double value : {moments[image].mean, moments[image].deviation}) expected.values.push_back(value);
        }
        data_.expected.push_back(std::move(expected));
        error_ = 1e-5;
        return {};
    }

    // A picture of every byte value with hard edges, and an alpha that must not matter.
    Status make(const PreprocessCall& call) {
        data_.pictureWidth = 640;
        data_.pictureHeight = 480;
        const Shape picture = {1, data_.pictureHeight, data_.pictureWidth, 4};
        const reference::Tensor noise = randomTensor(picture, seedName("picture"), 0.0f, 1.0f);
        std::vector<uint8_t> pixels;
        for (size_t i = 0; i < noise.values.size(); ++i) {
            const size_t pixel = i / 4, width = static_cast<size_t>(picture.w);
            const auto slope = static_cast<uint32_t>(pixel % width * 3 + pixel / width * 2);
            pixels.push_back(static_cast<uint8_t>(slope + static_cast<uint32_t>(64 + 64 * noise.values[i])));
        }
        const std::span<const std::byte> bytes = std::as_bytes(std::span(pixels));
        data_.picture.assign(bytes.begin(), bytes.end());

        const Shape& out = call.out.shape;
        std::vector<float> normalised(static_cast<size_t>(int64_t{out.h} * out.w * out.c));
        preprocess(network_.preprocess, {pixels.data(), picture.w, picture.h, static_cast<size_t>(picture.w) * 4},
                   out.w, out.h, out.c, normalised);
        Expected expected;
        expected.tensor = call.out.tensor;
        const StoredLayout layout(out.c, call.out.groupBytes);
        expected.precision = layout.precision();
        const int64_t first = int64_t{call.image - call.out.firstImage} * out.h * out.w;
        for (size_t i = 0; i < normalised.size(); ++i) {
            const auto channels = static_cast<size_t>(out.c);
            const int64_t pixel = first + static_cast<int64_t>(i / channels);
            if (i % channels == 0) layout.appendPadding(pixel, expected.padding);
            expected.offsets.push_back(layout.offset(pixel, static_cast<int>(i % channels)));
            expected.values.push_back(double{normalised[i]});
        }
        data_.expected.push_back(std::move(expected));
        data_.planes = planesOf(normalised, out);
        // A step of one in 255 where rounding falls on the other side; float16 rounds once more.
        const float deviation = *std::ranges::min_element(network_.preprocess.deviation);
        error_ = 1.0 / 255 / double{deviation} + (problem_.precision() == Precision::Fp16 ? 2e-3 : 1e-5);
        return {};
    }

    static std::vector<std::byte> planesOf(std::span<const float> nhwc, const Shape& shape) {
        const auto channels = static_cast<size_t>(shape.c);
        const size_t pixels = nhwc.size() / channels;
        std::vector<float> planes(nhwc.size());
        for (size_t i = 0; i < nhwc.size(); ++i) planes[i % channels * pixels + i / channels] = nhwc[i];
        const std::span<const std::byte> bytes = std::as_bytes(std::span(planes));
        return {bytes.begin(), bytes.end()};
    }

    Status make(const HeadCall& call) {
        const ValueId output = graph_.output();
        reference::Tensor logits = randomTensor(shapeOf(output, call.logits), seedName("logits"), 0.5f, 8.0f);
        const int classes = logits.shape.c;
        // The likeliest class is two, of which the lower number comes first.
        for (int n = 0; n < logits.shape.n; ++n)
            logits.at(n, 0, 0, classes / 3) = logits.at(n, 0, 0, classes - 1) = 8.5;
        const reference::Tensor* inputs[] = {&logits};
        const reference::Tensor probabilities = reference::evaluate(Softmax{}, inputs, {});
        Expected values, shares, numbers;
        values.tensor = shares.tensor = numbers.tensor = call.result.tensor;
        shares.hasOwnScale = true;  // a thousandth of the logits
        numbers.isInteger = true;
        const auto expect = [](Expected& expected, uint64_t begin, int64_t element, double value) {
            expected.offsets.push_back(begin + static_cast<uint64_t>(element) * sizeof(float));
            expected.values.push_back(value);
        };
        for (int n = 0; n < logits.shape.n; ++n) {
            const int64_t image = call.logits.firstImage + n;
            for (int c = 0; c < classes; ++c) {
                expect(values, call.logitsBytes, image * classes + c, logits.at(n, 0, 0, c));
                expect(shares, call.probabilitiesBytes, image * classes + c, probabilities.at(n, 0, 0, c));
            }
            const std::vector<int> order = likeliest(logits, n);
            for (int k = 0; k < call.topK; ++k) {
                const int number = order[static_cast<size_t>(k)];
                expect(numbers, call.topClassesBytes, image * call.topK + k, number);
                expect(shares, call.topProbabilitiesBytes, image * call.topK + k, probabilities.at(n, 0, 0, number));
            }
        }
        addInput(output, call.logits, std::move(logits));
        data_.expected = {std::move(values), std::move(shares), std::move(numbers)};
        error_ = 5e-6;  // of probabilities: exp is off by a few units in the last place; float32 in every precision
        return {};
    }

    static std::vector<int> likeliest(const reference::Tensor& logits, int image) {
        std::vector<int> order(static_cast<size_t>(logits.shape.c));
        for (int c = 0; c < logits.shape.c; ++c) order[static_cast<size_t>(c)] = c;
        std::ranges::sort(order, [&](int a, int b) {
            const double ofA = logits.at(image, 0, 0, a), ofB = logits.at(image, 0, 0, b);
            return ofA != ofB ? ofA > ofB : a < b;
        });
        return order;
    }

    // Float32 NHWC without padding. The output buffer holds the whole batch.
    Status make(const ExportCall& call) {
        const Shape& shape = call.in.shape;  // values that are tapped have no padding inside
        const reference::Tensor map = randomTensor(shape, seedName("input"));
        data_.contents[call.in.tensor] = StoredLayout(shape.c, call.in.groupBytes).pack(map);
        Expected expected;
        expected.tensor = call.result.tensor;
        const auto [begin, end] = rowsOf(shape.h);
        for (int n = 0; n < shape.n; ++n) {
            for (int64_t i = int64_t{begin} * shape.w * shape.c; i < int64_t{end} * shape.w * shape.c; ++i) {
                const int64_t perImage = int64_t{shape.h} * shape.w * shape.c;
                const int64_t element = (call.in.firstImage + n) * perImage + i;
                expected.offsets.push_back(call.resultBytes + static_cast<uint64_t>(element) * sizeof(float));
                expected.values.push_back(map.values[static_cast<size_t>(n * perImage + i)]);
            }
        }
        data_.expected.push_back(std::move(expected));
        error_ = 0;  // what float16 holds is copied as it is
        return {};
    }

    const KernelCase& problem_;
    const SourceNetwork& network_;
    const Graph& graph_;
    const Program& program_;
    const DispatchOrigin& origin_;
    std::map<ValueId, OracleValue> known_;
    CaseData data_;
    double error_ = 0;  // absolute
};

}  // namespace

Result<CaseData> makeData(const KernelCase& problem) {
    return DataMaker(problem).run();
}

}  // namespace dunlin::tuning
