// Loops that are unrolled before the compiler looks at them: what they index stays in registers.
#pragma once

#include <cstddef>
#include <type_traits>
#include <utility>

#include "runtime/cpu/kernels/parallel.h"

namespace dunlin::cpu {

template <size_t... indices, typename Body>
DUNLIN_INLINE constexpr void repeatOver(std::index_sequence<indices...>, [[maybe_unused]] Body body) {
    (body(std::integral_constant<size_t, indices>()), ...);
}

// body(index) for 0 <= index < count; the index is a constant: `constexpr size_t i = decltype(index)::value`.
template <size_t count, typename Body>
DUNLIN_INLINE constexpr void repeat(Body body) {
    repeatOver(std::make_index_sequence<count>(), body);
}

}  // namespace dunlin::cpu
