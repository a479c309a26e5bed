#include "runtime/cpu/reference.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <limits>
#include <numbers>
#include <utility>

namespace dunlin::reference {
namespace {

// Calls visit(n, y, x, c) for every element of a shape, in NHWC order.
template <typename Visit>
void forEachElement(const Shape& shape, Visit visit) {
    for (int n = 0; n < shape.n; ++n)
        for (int y = 0; y < shape.h; ++y)
            for (int x = 0; x < shape.w; ++x)
                for (int c = 0; c < shape.c; ++c) visit(n, y, x, c);
}

// One output element of a convolution, before its activation. `weights` is [out][in / groups][kernelH][kernelW].
double convolveAt(const Conv2d& conv, const Tensor& input, const FoldedWeights& weights, int n, int outY, int outX,
                  int outChannel) {
    const int groupInputs = input.shape.c / conv.groups;
    const int groupOutputs = conv.outChannels / conv.groups;
    const int firstInput = outChannel / groupOutputs * groupInputs;
    const size_t kernelArea = static_cast<size_t>(conv.kernelH) * static_cast<size_t>(conv.kernelW);
    const float* filter =
        weights.weight.data() + static_cast<size_t>(outChannel) * static_cast<size_t>(groupInputs) * kernelArea;

    double sum = weights.bias[static_cast<size_t>(outChannel)];
    for (int ky = 0; ky < conv.kernelH; ++ky) {
        const int y = outY * conv.strideH - conv.padding.top + ky;
        if (y < 0 || y >= input.shape.h) continue;
        for (int kx = 0; kx < conv.kernelW; ++kx) {
            const int x = outX * conv.strideW - conv.padding.left + kx;
            if (x < 0 || x >= input.shape.w) continue;
            const size_t tap = static_cast<size_t>(ky) * static_cast<size_t>(conv.kernelW) + static_cast<size_t>(kx);
            for (int c = 0; c < groupInputs; ++c)
                sum += input.at(n, y, x, firstInput + c) * double{filter[static_cast<size_t>(c) * kernelArea + tap]};
        }
    }
    return sum;
}

void softmax(std::vector<double>& scores) {
    // Softmax does not change when all scores move together; with the largest at 0, exp cannot overflow.
    const double largest = *std::max_element(scores.begin(), scores.end());
    double sum = 0;
    for (double& score : scores) sum += score = std::exp(score - largest);
    for (double& score : scores) score /= sum;
}

struct Place {
    int y, x;
};

// Calls visit(n, places) with the pixels of one image that have the same place in their patch, for each place of each
// image.
template <typename Visit>
void forEachPlace(const Shape& shape, int patchH, int patchW, Visit visit) {
    for (int n = 0; n < shape.n; ++n)
        for (int inPatchY = 0; inPatchY < patchH; ++inPatchY)
            for (int inPatchX = 0; inPatchX < patchW; ++inPatchX) {
                std::vector<Place> places;
                for (int y = inPatchY; y < shape.h; y += patchH)
                    for (int x = inPatchX; x < shape.w; x += patchW) places.push_back({y, x});
                visit(n, std::span<const Place>(places));
            }
}

// A token of a window: where it lies in the map (nowhere, for padding), in its window, and which part of the map a
// shift has brought it from.
struct WindowToken {
    Place map;
    bool isPadding;
    Place window;
    int part;
};

// The tokens of the window whose corner is at (top, left) of the rolled and padded map.
std::vector<WindowToken> windowTokens(const AttentionWindows& windows, const Shape& map, int top, int left) {
    const auto partOf = [](int at, int size, int window, int shift) {
        if (shift == 0) return 0;
        const int padded = roundUp(size, window);
        return at < padded - window ? 0 : at < padded - shift ? 1 : 2;
    };
    std::vector<WindowToken> tokens;
    for (int y = 0; y < windows.height; ++y)
        for (int x = 0; x < windows.width; ++x) {
            const int rolledY = top + y, rolledX = left + x;
            const bool isPadding = rolledY >= map.h || rolledX >= map.w;
            const int part = 3 * partOf(rolledY, map.h, windows.height, windows.shiftH) +
                             partOf(rolledX, map.w, windows.width, windows.shiftW);
            const Place place = {(rolledY + windows.shiftH) % map.h, (rolledX + windows.shiftW) % map.w};
            tokens.push_back({place, isPadding, {y, x}, part});
        }
    return tokens;
}

// What attends to what: query(i, c), key(i, c), value(i, c) and bias(i, j) for tokens i and j; store(i, c, result).
// A bias of minus infinity hides j from i.
template <typename Load, typename Bias, typename Store>
void attendWithin(size_t tokens, int headChannels, Load load, Bias bias, Store store) {
    enum { kQuery, kKey, kValue };
    for (size_t i = 0; i < tokens; ++i) {
        std::vector<double> shares(tokens);
        for (size_t j = 0; j < tokens; ++j) {
            double product = 0;
            for (int c = 0; c < headChannels; ++c) product += load(kQuery, i, c) * load(kKey, j, c);
            shares[j] = product / std::sqrt(headChannels) + bias(i, j);
        }
        softmax(shares);
        for (int c = 0; c < headChannels; ++c) {
            double sum = 0;
            for (size_t j = 0; j < tokens; ++j) sum += shares[j] * load(kValue, j, c);
            store(i, c, sum);
        }
    }
}

void attendInWindow(const AttentionWindows& windows, const Tensor& qkv, const FoldedWeights& weights, int heads, int n,
                    std::span<const WindowToken> tokens, Tensor& output) {
    const int channels = output.shape.c, headChannels = channels / heads;
    for (int head = 0; head < heads; ++head) {
        const auto load = [&](int which, size_t i, int c) {
            const int channel = which * channels + head * headChannels + c;
            const WindowToken& token = tokens[i];
            return token.isPadding ? double{weights.bias[static_cast<size_t>(channel)]}
                                   : qkv.at(n, token.map.y, token.map.x, channel);
        };
        const auto bias = [&](size_t i, size_t j) {
            if (tokens[i].part != tokens[j].part) return -std::numeric_limits<double>::infinity();
            const int dy = tokens[i].window.y - tokens[j].window.y + windows.height - 1;
            const int dx = tokens[i].window.x - tokens[j].window.x + windows.width - 1;
            return double{weights.weight[static_cast<size_t>((dy * (2 * windows.width - 1) + dx) * heads + head)]};
        };
        const auto store = [&](size_t i, int c, double value) {
            if (!tokens[i].isPadding) output.at(n, tokens[i].map.y, tokens[i].map.x, head * headChannels + c) = value;
        };
        attendWithin(tokens.size(), headChannels, load, bias, store);
    }
}

void attend(const Attention& attention, const Tensor& qkv, const FoldedWeights& weights, Tensor& output) {
    const Shape& shape = output.shape;
    const int headChannels = shape.c / attention.heads;
    if (attention.windows) {
        const AttentionWindows& windows = *attention.windows;
        for (int n = 0; n < shape.n; ++n)
            for (int top = 0; top < shape.h; top += windows.height)
                for (int left = 0; left < shape.w; left += windows.width)
                    attendInWindow(windows, qkv, weights, attention.heads, n, windowTokens(windows, shape, top, left),
                                   output);
        return;
    }
    forEachPlace(shape, attention.patchH, attention.patchW, [&](int n, std::span<const Place> places) {
        for (int head = 0; head < attention.heads; ++head) {
            const int first = head * headChannels;
            attendWithin(
                places.size(), headChannels,
                [&](int which, size_t i, int c) {
                    return qkv.at(n, places[i].y, places[i].x, which * shape.c + first + c);
                },
                [](size_t, size_t) { return 0.0; },
                [&](size_t i, int c, double value) { output.at(n, places[i].y, places[i].x, first + c) = value; });
        }
    });
}

// The two pixels between which a resized pixel lies, and the share of the second.
struct Neighbours {
    int before, after;
    double share;
};
std::vector<Neighbours> neighbours(int from, int to, bool alignCorners) {
    std::vector<Neighbours> result;
    for (int i = 0; i < to; ++i) {
        const double aligned = to > 1 ? static_cast<double>(i) * (from - 1) / (to - 1) : 0;
        const double centre = alignCorners ? aligned : std::max((i + 0.5) * from / to - 0.5, 0.0);
        const int before = std::min(static_cast<int>(centre), from - 1);
        result.push_back({before, std::min(before + 1, from - 1), centre - before});
    }
    return result;
}

struct Evaluate {
    std::span<const Tensor* const> inputs;
    const FoldedWeights& weights;
    Tensor output;

    const Tensor& in(size_t index) const { return *inputs[index]; }

    void operator()(const Conv2d& conv) {
        const size_t kernelArea = static_cast<size_t>(conv.kernelH) * static_cast<size_t>(conv.kernelW);
        assert(weights.weight.size() ==
               static_cast<size_t>(conv.outChannels) * static_cast<size_t>(in(0).shape.c / conv.groups) * kernelArea);
        assert(weights.bias.size() == static_cast<size_t>(conv.outChannels));
        static_cast<void>(kernelArea);
        forEachElement(output.shape, [&](int n, int y, int x, int c) {
            output.at(n, y, x, c) = activate(conv.activation, convolveAt(conv, in(0), weights, n, y, x, c));
        });
    }

    void operator()(const Linear& linear) {
        const int features = in(0).shape.c;
        assert(weights.weight.size() == static_cast<size_t>(linear.outFeatures) * static_cast<size_t>(features));
        assert(weights.bias.size() == static_cast<size_t>(linear.outFeatures));
        forEachElement(output.shape, [&](int n, int y, int x, int c) {
            const float* row = weights.weight.data() + static_cast<size_t>(c) * static_cast<size_t>(features);
            double sum = weights.bias[static_cast<size_t>(c)];
            for (int k = 0; k < features; ++k) sum += in(0).at(n, y, x, k) * double{row[k]};
            output.at(n, y, x, c) = activate(linear.activation, sum);
        });
    }

    void operator()(const Add& add) {
        forEachElement(output.shape, [&](int n, int y, int x, int c) {
            output.at(n, y, x, c) = activate(add.activation, in(0).at(n, y, x, c) + in(1).at(n, y, x, c));
        });
    }

    void operator()(const Mul&) {
        const bool perImage = in(1).shape.h == 1 && in(1).shape.w == 1;
        forEachElement(output.shape, [&](int n, int y, int x, int c) {
            output.at(n, y, x, c) = in(0).at(n, y, x, c) * (perImage ? in(1).at(n, 0, 0, c) : in(1).at(n, y, x, c));
        });
    }

    void operator()(const GlobalAvgPool& pool) {
        const Shape& shape = in(0).shape;
        const int end = pool.count > 0 ? pool.begin + pool.count : shape.h * shape.w;
        forEachElement(shape, [&](int n, int y, int x, int c) {
            const int pixel = y * shape.w + x;
            if (pixel >= pool.begin && pixel < end) output.at(n, 0, 0, c) += in(0).at(n, y, x, c);
        });
        for (double& value : output.values) value /= end - pool.begin;
    }

    void operator()(const Activate& op) {
        std::transform(in(0).values.begin(), in(0).values.end(), output.values.begin(),
                       [&](double x) { return activate(op.activation, x); });
    }

    void operator()(const Softmax&) {
        const size_t channels = static_cast<size_t>(output.shape.c);
        for (size_t first = 0; first < output.values.size(); first += channels) {
            std::vector<double> row(in(0).values.data() + first, in(0).values.data() + first + channels);
            softmax(row);
            std::ranges::copy(row, output.values.data() + first);
        }
    }

    void operator()(const LayerNorm& norm) {
        const auto channels = static_cast<size_t>(output.shape.c);
        const size_t count = norm.over == LayerNorm::Over::Pixel
                                 ? channels
                                 : static_cast<size_t>(output.shape.h) * static_cast<size_t>(output.shape.w) * channels;
        for (size_t first = 0; first < output.values.size(); first += count) {
            const std::span<const double> x(in(0).values.data() + first, count);
            double mean = 0, variance = 0;
            for (double value : x) mean += value / static_cast<double>(count);
            for (double value : x) variance += (value - mean) * (value - mean) / static_cast<double>(count);
            const double scale = 1 / std::sqrt(variance + norm.epsilon);
            for (size_t i = 0; i < count; ++i) {
                const size_t c = i % channels;
                output.values[first + i] = (x[i] - mean) * scale * double{weights.weight[c]} + double{weights.bias[c]};
            }
        }
    }

    void operator()(const Attention& attention) { attend(attention, in(0), weights, output); }

    void operator()(const SeparableAttention& attention) {
        const int channels = output.shape.c;
        forEachPlace(output.shape, attention.patchH, attention.patchW, [&](int n, std::span<const Place> places) {
            std::vector<double> shares;
            for (const Place& at : places) shares.push_back(in(0).at(n, at.y, at.x, 0));
            softmax(shares);
            for (int c = 0; c < channels; ++c) {
                double context = 0;
                for (size_t i = 0; i < places.size(); ++i)
                    context += shares[i] * in(0).at(n, places[i].y, places[i].x, 1 + c);
                for (const Place& at : places)
                    output.at(n, at.y, at.x, c) = std::max(in(0).at(n, at.y, at.x, 1 + channels + c), 0.0) * context;
            }
        });
    }

    void operator()(const Concat&) {
        const int first = in(0).shape.c;
        forEachElement(output.shape, [&](int n, int y, int x, int c) {
            output.at(n, y, x, c) = c < first ? in(0).at(n, y, x, c) : in(1).at(n, y, x, c - first);
        });
    }

    void operator()(const Resize& resize) {
        const Shape& from = in(0).shape;
        const std::vector<Neighbours> rows = neighbours(from.h, output.shape.h, resize.alignCorners);
        const std::vector<Neighbours> columns = neighbours(from.w, output.shape.w, resize.alignCorners);
        forEachElement(output.shape, [&](int n, int y, int x, int c) {
            const Neighbours &row = rows[static_cast<size_t>(y)], &column = columns[static_cast<size_t>(x)];
            const auto across = [&](int inY) {
                return in(0).at(n, inY, column.before, c) * (1 - column.share) +
                       in(0).at(n, inY, column.after, c) * column.share;
            };
            output.at(n, y, x, c) = across(row.before) * (1 - row.share) + across(row.after) * row.share;
        });
    }

    void operator()(const MaxPool& pool) {
        const Shape& from = in(0).shape;
        forEachElement(output.shape, [&](int n, int outY, int outX, int c) {
            double largest = -std::numeric_limits<double>::infinity();
            for (int ky = 0; ky < pool.kernelH; ++ky)
                for (int kx = 0; kx < pool.kernelW; ++kx) {
                    const int y = outY * pool.strideH - pool.padding.top + ky;
                    const int x = outX * pool.strideW - pool.padding.left + kx;
                    if (y >= 0 && y < from.h && x >= 0 && x < from.w) largest = std::max(largest, in(0).at(n, y, x, c));
                }
            output.at(n, outY, outX, c) = largest;
        });
    }

    void operator()(const SpaceToDepth& op) {
        const Shape& from = in(0).shape;
        forEachElement(output.shape, [&](int n, int outY, int outX, int c) {
            const int place = c / from.c;
            const int y = outY * op.block + place % op.block, x = outX * op.block + place / op.block;
            if (y < from.h && x < from.w) output.at(n, outY, outX, c) = in(0).at(n, y, x, c % from.c);
        });
    }

    void operator()(const EmbedTokens& tokens) {
        const Shape& from = in(0).shape;
        forEachElement(output.shape, [&](int n, int, int token, int c) {
            const int pixel = token - tokens.prefix();
            const double value = pixel < 0 ? 0 : in(0).at(n, pixel / from.w, pixel % from.w, c);
            const size_t row = static_cast<size_t>(token) * static_cast<size_t>(from.c);
            output.at(n, 0, token, c) = value + double{weights.weight[row + static_cast<size_t>(c)]};
        });
    }
};

// For every value, the index of the last node that reads it; the node count where it is wanted in the end.
std::vector<size_t> lastUses(const Graph& graph, std::span<const ValueId> wanted) {
    std::vector<size_t> last(graph.values().size(), 0);
    for (size_t index = 0; index < graph.nodes().size(); ++index)
        for (ValueId value : inputsOf(graph.nodes()[index].op)) last[static_cast<size_t>(value)] = index;
    for (ValueId value : wanted) last[static_cast<size_t>(value)] = graph.nodes().size();
    return last;
}

}  // namespace

Tensor fromFloats(const Shape& shape, std::span<const float> nhwc) {
    assert(nhwc.size() == static_cast<size_t>(shape.elementCount()));
    Tensor tensor(shape);
    std::copy(nhwc.begin(), nhwc.end(), tensor.values.begin());
    return tensor;
}

Tensor fromNchw(const Shape& shape, std::span<const float> nchw) {
    assert(nchw.size() == static_cast<size_t>(shape.elementCount()));
    Tensor tensor(shape);
    size_t next = 0;
    for (int n = 0; n < shape.n; ++n)
        for (int c = 0; c < shape.c; ++c)
            for (int y = 0; y < shape.h; ++y)
                for (int x = 0; x < shape.w; ++x) tensor.at(n, y, x, c) = nchw[next++];
    return tensor;
}

std::vector<float> toFloats(const Tensor& tensor) {
    std::vector<float> floats(tensor.values.size());
    std::transform(tensor.values.begin(), tensor.values.end(), floats.begin(),
                   [](double value) { return static_cast<float>(value); });
    return floats;
}

double activate(Activation activation, double x) {
    const auto sigmoid = [](double v) { return 1.0 / (1.0 + std::exp(-v)); };
    switch (activation) {
        case Activation::None:
            return x;
        case Activation::Relu:
            return std::max(x, 0.0);
        case Activation::Relu6:
            return std::clamp(x, 0.0, 6.0);
        case Activation::HardSwish:
            return x * std::clamp(x + 3.0, 0.0, 6.0) / 6.0;
        case Activation::HardSigmoid:
            return std::clamp(x + 3.0, 0.0, 6.0) / 6.0;
        case Activation::Silu:
            return x * sigmoid(x);
        case Activation::Sigmoid:
            return sigmoid(x);
        case Activation::Gelu:
            return 0.5 * x * (1.0 + std::erf(x / std::numbers::sqrt2));
        case Activation::GeluTanh: {
            const double inner = std::sqrt(2.0 / std::numbers::pi) * (x + 0.044715 * x * x * x);
            return 0.5 * x * (1.0 + std::tanh(inner));
        }
    }
    return x;
}

Tensor evaluate(const Op& op, std::span<const Tensor* const> inputs, const FoldedWeights& weights) {
    std::vector<Shape> shapes;
    for (const Tensor* input : inputs) shapes.push_back(input->shape);
    Evaluate evaluation{inputs, weights, Tensor(inferShape(op, shapes))};
    std::visit(evaluation, op);
    return std::move(evaluation.output);
}

Result<std::vector<Tensor>> evaluate(const Graph& graph, const WeightsSource& weights, const Tensor& input,
                                     std::span<const ValueId> wanted) {
    if (input.shape != graph.shape(graph.input()))
        return error(StatusCode::InvalidArgument, "the input is %s but the network was built for %s",
                     describe(input.shape).c_str(), describe(graph.shape(graph.input())).c_str());

    const std::vector<size_t> lastUse = lastUses(graph, wanted);
    std::vector<Tensor> values(graph.values().size());
    values[static_cast<size_t>(graph.input())] = input;

    for (size_t index = 0; index < graph.nodes().size(); ++index) {
        const Node& node = graph.nodes()[index];
        Result<FoldedWeights> folded = foldWeights(graph, node, weights);
        if (!folded.ok()) return folded.status().withContext(node.name);

        const std::vector<ValueId> reads = inputsOf(node.op);
        std::vector<const Tensor*> inputs;
        for (ValueId value : reads) inputs.push_back(&values[static_cast<size_t>(value)]);
        values[static_cast<size_t>(node.output)] = evaluate(node.op, inputs, *folded);

        for (ValueId value : reads)
            if (lastUse[static_cast<size_t>(value)] == index) values[static_cast<size_t>(value)] = Tensor();
    }

    std::vector<Tensor> results;
    for (ValueId value : wanted) results.push_back(values[static_cast<size_t>(value)]);
    return results;
}

}  // namespace dunlin::reference
