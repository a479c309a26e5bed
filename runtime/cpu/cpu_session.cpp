#include "runtime/cpu/cpu_session.h"

#include <algorithm>
#include <cstring>
#include <new>
#include <utility>

#include "runtime/cpu/host_memory.h"
#include "runtime/cpu/network.h"
#include "runtime/cpu/thread_pool.h"
#include "runtime/cpu/threads.h"

namespace dunlin {
namespace {

// Some of an image's pixels, from planes.
void fromPlanes(const float* nchw, const Shape& image, size_t first, size_t end, float* nhwc) {
    const size_t pixels = static_cast<size_t>(image.h) * static_cast<size_t>(image.w);
    const auto channels = static_cast<size_t>(image.c);
    for (size_t c = 0; c < channels; ++c)
        for (size_t pixel = first; pixel < end; ++pixel) nhwc[pixel * channels + c] = nchw[c * pixels + pixel];
}

class CpuSession final : public Session {
  public:
    static Result<std::unique_ptr<Session>> create(const ModelData& model, const SessionOptions& options, int threads);

    const Shape& inputShape() const override { return input_; }
    std::span<const OutputSlice> outputs() const override { return outputs_; }
    uint64_t outputBytes() const override { return outputBytes_; }
    uint64_t deviceBytes() const override { return deviceBytes_; }
    Status run(const HostInput& input, std::span<std::byte> output) override;

  private:
    // A value of the graph for one image, and where it goes in the output.
    struct KeptValue {
        ValueId value;
        const float* data;
        std::vector<size_t> slices;  // indices into outputs_
    };

    Status chooseOutputs(const Graph& graph, const SessionOptions& options);
    Status compile(const Graph& graph, const ModelData& model, const SessionOptions& options, int threads);
    Status check(const HostInput& input, std::span<const std::byte> output) const;
    void fillInput(const HostInput& input, size_t index);
    void copyOutputs(int image, std::span<std::byte> output);
    Shape oneImage(Shape shape) const {
        shape.n = 1;
        return shape;
    }

    Shape input_;  // of the whole batch
    PreprocessSpec preprocess_;
    std::unique_ptr<Preprocessing> preprocessing_;  // for pictures of the last one's size
    std::vector<OutputSlice> outputs_;
    uint64_t outputBytes_ = 0, deviceBytes_ = 0;

    std::vector<KeptValue> kept_;            // the logits first
    std::unique_ptr<cpu::ThreadPool> pool_;  // before the network, which points to it; null on one thread
    cpu::Network network_;
    float* inputData_ = nullptr;  // of one image, in the network

    std::vector<float> probabilities_, topProbabilities_;
    std::vector<uint32_t> topClasses_;
};

// The indices of the slices that every session has; taps follow.
enum : size_t { kLogits, kProbabilities, kTopClasses, kTopProbabilities, kFirstTap };

Result<std::unique_ptr<Session>> CpuSession::create(const ModelData& model, const SessionOptions& options,
                                                    int threads) {
    if (options.precision != Precision::Fp32)
        return error(StatusCode::Unsupported, "fp16 was asked for, but the CPU computes in fp32 only");
    if (options.batch < 1)
        return error(StatusCode::InvalidArgument, "a batch of %d was asked for, but it must be at least 1",
                     options.batch);
    if (options.topK < 1)
        return error(StatusCode::InvalidArgument, "the %d likeliest classes were asked for, but it must be at least 1",
                     options.topK);
    DUNLIN_ASSIGN(const int threadCount, resolveThreads(threads));

    const Shape input = {options.batch, options.height != 0 ? options.height : model.preprocess.inputHeight,
                         options.width != 0 ? options.width : model.preprocess.inputWidth, 3};
    DUNLIN_ASSIGN(const Graph whole, model.buildGraph(input));
    Shape image = input;
    image.n = 1;
    DUNLIN_ASSIGN(const Graph single, model.buildGraph(image));

    auto session = std::make_unique<CpuSession>();
    session->input_ = whole.shape(whole.input());
    session->preprocess_ = model.preprocess;
    DUNLIN_TRY(session->chooseOutputs(whole, options));
    DUNLIN_TRY(session->compile(single, model, options, threadCount));
    return std::unique_ptr<Session>(std::move(session));
}

Status CpuSession::chooseOutputs(const Graph& graph, const SessionOptions& options) {
    if (const Shape& logits = graph.shape(graph.output()); logits.h != 1 || logits.w != 1)
        return error(StatusCode::InvalidArgument, "the network's output is %s, but logits are one vector an image",
                     describe(logits).c_str());
    std::vector<ValueId> values = {graph.output()};
    for (const std::string& tap : options.taps) {
        DUNLIN_ASSIGN(const ValueId value, graph.findTap(tap));
        values.push_back(value);
    }
    outputs_ = outputLayout(graph, options, &outputBytes_);
    // Two taps may mean one value, and the logits may be tapped.
    for (size_t i = 0; i < values.size(); ++i) {
        auto found =
            std::find_if(kept_.begin(), kept_.end(), [&](const auto& kept) { return kept.value == values[i]; });
        if (found == kept_.end()) found = kept_.insert(found, {values[i], nullptr, {}});
        found->slices.push_back(i == 0 ? kLogits : kFirstTap + i - 1);
    }
    return {};
}

Status CpuSession::compile(const Graph& graph, const ModelData& model, const SessionOptions& options, int threads) {
    std::vector<ValueId> kept;
    for (const KeptValue& value : kept_) kept.push_back(value.value);
    const HostMemoryNeed need = hostMemoryNeed(graph, kept, static_cast<size_t>(threads));
    const std::string what = model.architecture + " at " + std::to_string(input_.h) + "x" + std::to_string(input_.w);
    DUNLIN_TRY(checkFits(what, need.peakBytes(), availableHostBytes()));
    deviceBytes_ = need.weightBytes + need.activationBytes;

    if (threads > 1) {
        DUNLIN_ASSIGN(pool_, cpu::ThreadPool::create(static_cast<size_t>(threads)));
    }
    DUNLIN_ASSIGN(network_, cpu::Network::create(graph, *model.weights, kept, pool_.get(), static_cast<size_t>(threads),
                                                 options.progress));
    inputData_ = network_.data(graph.input());
    for (KeptValue& value : kept_) value.data = network_.data(value.value);

    probabilities_.resize(static_cast<size_t>(outputs_[kProbabilities].shape.c));
    topClasses_.resize(static_cast<size_t>(outputs_[kTopClasses].shape.c));
    topProbabilities_.resize(topClasses_.size());
    return {};
}

Status CpuSession::check(const HostInput& input, std::span<const std::byte> output) const {
    if (output.size() < outputBytes_)
        return error(StatusCode::InvalidArgument, "the output has %zu bytes, but %llu are needed", output.size(),
                     static_cast<unsigned long long>(outputBytes_));
    if (input.pictures.empty() == input.tensor.empty())
        return error(StatusCode::InvalidArgument, "the input must be either pictures or a tensor, and it is %s",
                     input.tensor.empty() ? "neither" : "both");
    if (!input.tensor.empty()) {
        const auto expected = static_cast<size_t>(input_.elementCount());
        if (input.tensor.size() == expected) return {};
        return error(StatusCode::InvalidArgument, "the input tensor has %zu elements, but %s has %zu",
                     input.tensor.size(), describe(input_).c_str(), expected);
    }
    if (input.pictures.size() != static_cast<size_t>(input_.n))
        return error(StatusCode::InvalidArgument, "%zu pictures were given, but the session's batch is %d",
                     input.pictures.size(), input_.n);
    for (size_t i = 0; i < input.pictures.size(); ++i) {
        const PixelView& view = input.pictures[i];
        if (view.pixels == nullptr || view.width < 1 || view.height < 1 ||
            view.rowBytes < static_cast<size_t>(view.width) * 4)
            return error(StatusCode::InvalidArgument,
                         "picture %zu is %dx%d with rows of %zu bytes, which holds no pixels", i, view.width,
                         view.height, view.rowBytes);
    }
    return {};
}

Status CpuSession::run(const HostInput& input, std::span<std::byte> output) try {
    DUNLIN_TRY(check(input, output));
    for (int n = 0; n < input_.n; ++n) {
        fillInput(input, static_cast<size_t>(n));
        network_.run();
        copyOutputs(n, output);
    }
    return {};
} catch (const std::bad_alloc&) {
    return Status(StatusCode::OutOfHostMemory, "the machine's memory is used up");
}

// In bands of rows: a few more than threads, which may not be equally fast.
void CpuSession::fillInput(const HostInput& input, size_t index) {
    const Shape image = oneImage(input_);
    const size_t elements = static_cast<size_t>(image.elementCount()), height = static_cast<size_t>(image.h);
    const size_t threads = pool_ ? pool_->size() : 1, bands = threads == 1 ? 1 : std::min(2 * threads, height);
    const cpu::Workers workers = {.pool = pool_.get(), .count = threads};
    const auto forEachBand = [&](auto compute) {
        cpu::forEach(workers, bands, [=](size_t band) { compute(height * band / bands, height * (band + 1) / bands); });
    };
    if (input.tensor.empty()) {
        const PixelView& picture = input.pictures[index];
        if (!preprocessing_ || !preprocessing_->fits(picture))
            preprocessing_ =
                std::make_unique<Preprocessing>(preprocess_, picture.width, picture.height, image.w, image.h, image.c);
        forEachBand([&](size_t begin, size_t end) {
            preprocessing_->computeRows(picture, static_cast<int>(begin), static_cast<int>(end),
                                        {inputData_, elements});
        });
    } else {
        const float* const planes = input.tensor.data() + index * elements;
        const auto width = static_cast<size_t>(image.w);
        forEachBand(
            [&](size_t begin, size_t end) { fromPlanes(planes, image, begin * width, end * width, inputData_); });
    }
}

void CpuSession::copyOutputs(int image, std::span<std::byte> output) {
    const auto copy = [&](size_t slice, const void* data) {
        const OutputSlice& target = outputs_[slice];
        const uint64_t imageBytes = target.sizeBytes / static_cast<uint64_t>(input_.n);
        std::memcpy(output.data() + target.offsetBytes + static_cast<uint64_t>(image) * imageBytes, data, imageBytes);
    };
    for (const KeptValue& value : kept_)
        for (size_t slice : value.slices) copy(slice, value.data);

    const std::span<const float> logits(kept_.front().data, probabilities_.size());
    softmax(logits, probabilities_);
    // By logits, as the head kernel does: unlikely classes whose probabilities vanish are still in order.
    topK(logits, topClasses_, topProbabilities_);
    for (size_t k = 0; k < topClasses_.size(); ++k) topProbabilities_[k] = probabilities_[topClasses_[k]];
    copy(kProbabilities, probabilities_.data());
    copy(kTopClasses, topClasses_.data());
    copy(kTopProbabilities, topProbabilities_.data());
}

}  // namespace

Result<std::unique_ptr<Session>> createCpuSession(const ModelData& model, const SessionOptions& options,
                                                  int threads) try {
    return CpuSession::create(model, options, threads);
} catch (const std::bad_alloc&) {
    return Status(StatusCode::OutOfHostMemory, "the machine's memory is used up");
}

}  // namespace dunlin
