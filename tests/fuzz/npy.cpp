#include "tools/dunlin/npy.h"

#include "tests/fuzz/fuzz_target.h"

namespace dunlin::fuzz {
namespace {

bool parse(std::span<const std::byte> file) {
    const cli::Outcome<cli::NpyArray> array = cli::parseNpy(file);
    if (!array.ok()) {
        require(!array.failure().message.empty(), "every refusal has a reason");
        return false;
    }
    size_t count = 1;
    for (const int64_t dimension : array->shape) {
        require(dimension >= 0, "dimensions are not negative");
        count *= static_cast<size_t>(dimension);
    }
    require(array->values.size() == count, "there are as many values as the shape says");
    return true;
}

}  // namespace

std::vector<std::string> corpus() {
    const auto file = [](const char* dictionary, size_t dataBytes) {
        const std::string text = dictionary;
        return std::string("\x93NUMPY\1\0", 8) + static_cast<char>(text.size()) + '\0' + text +
               std::string(dataBytes, '\x3f');
    };
    return {file("{'descr': '<f4', 'fortran_order': False, 'shape': (1, 3, 2, 2), }\n", 48),
            file("{'descr': '<f2', 'fortran_order': False, 'shape': (7,), }\n", 14),
            file("{'descr': '<f8', 'fortran_order': True, 'shape': (), }\n", 8)};
}

bool accepts(const std::string& input) {
    return parse(toBytes(reinterpret_cast<const uint8_t*>(input.data()), input.size()));
}

}  // namespace dunlin::fuzz

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t sizeBytes) {
    dunlin::fuzz::parse(dunlin::fuzz::toBytes(data, sizeBytes));
    return 0;
}
