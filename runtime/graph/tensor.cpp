#include "runtime/graph/tensor.h"

namespace dunlin {

std::string describe(const Shape& shape) {
    return std::to_string(shape.n) + "x" + std::to_string(shape.h) + "x" + std::to_string(shape.w) + "x" +
           std::to_string(shape.c);
}

}  // namespace dunlin
