// Weights files made in memory, so that tests can make good ones and then break them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace dunlin::test {

using Bytes = std::vector<std::byte>;

inline Bytes toBytes(std::string_view text) {
    const auto* data = reinterpret_cast<const std::byte*>(text.data());
    return {data, data + text.size()};
}

template <typename Number>
std::string little(Number number) {
    std::string text(sizeof number, '\0');
    std::memcpy(text.data(), &number, sizeof number);
    return text;
}

template <typename Number>
std::string packed(std::initializer_list<Number> numbers) {
    std::string text;
    for (const Number number : numbers) text += little(number);
    return text;
}

inline std::string safetensorsFile(std::string_view header, std::string_view data = "") {
    return little(uint64_t{header.size()}) + std::string(header) + std::string(data);
}

}  // namespace dunlin::test
