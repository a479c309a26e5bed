#include "runtime/weights/weights_source.h"
namespace dunlin {
std::string describeShape(std::span<const int64_t> shape) {
    std::string text = "[";
    for (size_t i = 0; i < shape.size(); ++i) text += (i ? ", " : "") + std::to_string(shape[i]);
    return text + "]";
}
}
