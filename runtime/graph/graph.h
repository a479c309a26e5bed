// A network as a list of ops in SSA form: every value is written by one op, after the values that the op reads.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/graph/ops.h"
#include "runtime/graph/tensor.h"
#include "runtime/status.h"

namespace dunlin {

struct Value {
    Shape shape;
    int producer = -1;  // index into Graph::nodes(); -1 for the network's input
};

struct Node {
    Op op;
    ValueId output = kNoValue;
    std::string name;  // the module that it comes from: "blocks.1.0.conv_dw"
};

// One tensor that the network needs from its weights.
struct ParameterTensor {
    std::string name;  // canonical
    std::vector<int64_t> shape;
    bool trainable = true;  // false for running statistics, which parameter counts leave out
};

// Built once by an architecture, then only read. Not thread-safe while being built.
class Graph {
  public:
    explicit Graph(const Shape& input);

    ValueId input() const { return 0; }
    ValueId output() const { return output_; }  // logits, [n, 1, 1, classes]
    const Shape& shape(ValueId value) const { return values_[static_cast<size_t>(value)].shape; }
    // The node that writes a value, as an index into nodes(); -1 for the network's input.
    int producer(ValueId value) const { return values_[static_cast<size_t>(value)].producer; }
    // The op that writes a value, if it is of this kind; else null.
    template <typename Kind>
    const Kind* producerAs(ValueId value) const {
        return producer(value) < 0 ? nullptr : std::get_if<Kind>(&nodes_[static_cast<size_t>(producer(value))].op);
    }
    const std::vector<Value>& values() const { return values_; }
    const std::vector<Node>& nodes() const { return nodes_; }
    const std::vector<ParameterTensor>& parameters() const { return parameters_; }

    // Names by which a value may be asked for as an output ("blocks.2", "features", "pooled"); several may mean one
    // value.
    const std::map<std::string, ValueId, std::less<>>& taps() const { return taps_; }
    // UnknownName lists what there is; a value that folding removed (a convolution before its BatchNorm) is said to be
    // so.
    Result<ValueId> findTap(std::string_view name) const;

    // Appends an op, infers its shape and records the tensors that its parameters need. Shapes must agree: the builders
    // are code, so a mismatch is an assertion, not an error.
    ValueId add(std::string name, Op op);
    void tap(std::string name, ValueId value);
    // A name that users may know, of a value that does not exist here, and why: "conv_stem", "its BatchNorm is folded
    // in".
    void untappable(std::string name, std::string reason) { untappable_.emplace(std::move(name), std::move(reason)); }
    void setOutput(ValueId value) { output_ = value; }

  private:
    void recordParameters(const Op& op);

    std::vector<Value> values_;
    std::vector<Node> nodes_;
    std::vector<ParameterTensor> parameters_;
    std::map<std::string, ValueId, std::less<>> taps_;
    std::map<std::string, std::string, std::less<>> untappable_;
    ValueId output_ = kNoValue;
};

std::vector<ValueId> inputsOf(const Op& op);
// The output's shape, from those of inputsOf(op). Shapes must agree, by assertion.
Shape inferShape(const Op& op, std::span<const Shape> inputs);

// Multiply-adds of one node, and of the whole network: convolutions, linear layers and attention's two products, as the
// papers count them.
int64_t multiplyAdds(const Graph& graph, const Node& node);
int64_t multiplyAdds(const Graph& graph);
// Trainable elements.
int64_t parameterCount(const Graph& graph);
// All elements, running statistics included, as float32.
uint64_t parameterBytes(const Graph& graph);

}  // namespace dunlin
