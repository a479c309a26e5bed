// Small networks with formula weights, and their input: what the tests of the CPU backend have in common.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <functional>
#include <new>
#include <utility>
#include <vector>

#if defined(__unix__) || defined(__APPLE__)
#include <sys/mman.h>
#include <unistd.h>
#endif

#include "runtime/backend.h"
#include "runtime/cpu/network.h"
#include "runtime/cpu/thread_pool.h"
#include "runtime/weights/synthetic.h"

namespace dunlin::test {

using BuildGraph = std::function<Graph(const Shape&)>;

// A network whose input always has this many channels.
inline ModelData modelOf(const BuildGraph& build, int channels = 3) {
    ModelData model;
    model.architecture = "test";
    model.weights = formulaWeights();
    model.preprocess.inputHeight = 24;
    model.preprocess.inputWidth = 32;
    model.buildGraph = [build, channels](const Shape& input) -> Result<Graph> {
        return build({input.n, input.h, input.w, channels});
    };
    return model;
}

inline std::vector<float> noise(size_t count, float scale = 3) {
    std::vector<float> values(count);
    formulaNoise("test.input", values);
    for (float& value : values) value *= scale;
    return values;
}

// Floats that end where memory does: a read or write past them ends the test, in every kind of build. (Where the system
// has no such memory, they are floats like any others.)
class GuardedFloats {
  public:
    explicit GuardedFloats(size_t count, float value = NAN) : count_(count) {
#if defined(__unix__) || defined(__APPLE__)
        const auto page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
        const size_t bytes = (count * sizeof(float) + page - 1) / page * page;
        mappedBytes_ = bytes + page;
        mapped_ = mmap(nullptr, mappedBytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (mapped_ == MAP_FAILED || mprotect(static_cast<std::byte*>(mapped_) + bytes, page, PROT_NONE) != 0)
            throw std::bad_alloc();
        data_ = reinterpret_cast<float*>(static_cast<std::byte*>(mapped_) + bytes) - count;
#else
        data_ = new float[count];
#endif
        std::fill_n(data_, count, value);
    }
    explicit GuardedFloats(const std::vector<float>& values) : GuardedFloats(values.size()) {
        std::ranges::copy(values, data_);
    }
    ~GuardedFloats() {
#if defined(__unix__) || defined(__APPLE__)
        munmap(mapped_, mappedBytes_);
#else
        delete[] data_;
#endif
    }
    GuardedFloats(const GuardedFloats&) = delete;
    GuardedFloats& operator=(const GuardedFloats&) = delete;

    float* data() const {
        return data_;
    }
    std::vector<float> values() const {
        return {data_, data_ + count_};
    }

  private:
    size_t count_;
    float* data_;
    void* mapped_ = nullptr;
    size_t mappedBytes_ = 0;
};

// Scratch memory of a kernel, which asks for whole doubles and pointers.
inline size_t scratchFloats(uint64_t scratchBytes) {
    return static_cast<size_t>((scratchBytes + sizeof(double) - 1) / sizeof(double) * (sizeof(double) / sizeof(float)));
}

// Each kept value after a run with formula weights; nothing, and a failure of the test, where there is no such network.
inline std::vector<std::vector<float>> runNetwork(const Graph& graph, const std::vector<float>& input,
                                                  const std::vector<ValueId>& kept, cpu::ThreadPool* pool,
                                                  cpu::Vectors vectors = cpu::longestVectors()) {
    auto network = cpu::Network::create(graph, *formulaWeights(), kept, pool, pool ? pool->size() : 1, {}, vectors);
    EXPECT_TRUE(network.ok()) << network.status().message();
    if (!network.ok()) return {};
    std::ranges::copy(input, network->data(graph.input()));
    network->run();
    std::vector<std::vector<float>> values;
    for (ValueId value : kept) {
        const float* const data = network->data(value);
        values.emplace_back(data, data + graph.shape(value).elementCount());
    }
    return values;
}

// Ends a network with this value, which is tapped; a map is pooled, because logits are one vector an image.
inline Graph endWith(Graph graph, ValueId value) {
    graph.tap("end", value);
    const Shape& shape = graph.shape(value);
    graph.setOutput(shape.h * shape.w == 1 ? value : graph.add("logits", GlobalAvgPool{value}));
    return graph;
}

}  // namespace dunlin::test
