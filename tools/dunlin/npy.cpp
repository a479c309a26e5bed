#include "tools/dunlin/npy.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <bit>
#include <charconv>
#include <cstring>
#include <new>
#include <optional>
#include <string_view>

namespace dunlin::cli {
namespace {

static_assert(std::endian::native == std::endian::little, "elements are copied as they lie in the file");

constexpr std::string_view kMagic = "\x93NUMPY";
constexpr size_t kHeaderAlignment = 64;

Failure bad(std::string reason) {
    return {ExitStatus::BadInput, std::move(reason)};
}

struct Header {
    std::string type;  // "<f4"
    bool fortranOrder = false;
    std::vector<int64_t> shape;
};

// The header is a Python dictionary of three entries: strings, True or False, and a tuple of integers. Nothing else is
// understood, on purpose.
class HeaderParser {
  public:
    explicit HeaderParser(std::string_view text) : rest_(text) {}

    std::optional<Header> parse() {
        Header header;
        bool type = false, order = false, shape = false;
        if (!take('{')) return {};
        while (!take('}')) {
            const std::optional<std::string> key = string();
            if (!key || !take(':')) return {};
            bool* seen = *key == "descr"           ? &type
                         : *key == "fortran_order" ? &order
                         : *key == "shape"         ? &shape
                                                   : nullptr;
            if (seen == nullptr || *seen) return {};
            *seen = true;
            if (!value(*key, header)) return {};
            if (!take(',') && !peek('}')) return {};
        }
        skipSpace();
        if (!rest_.empty() || !type || !order || !shape) return {};
        return header;
    }

  private:
    bool value(std::string_view key, Header& header) {
        if (key == "shape") return tuple(header.shape);
        if (key == "fortran_order") return boolean(header.fortranOrder);
        std::optional<std::string> type = string();
        if (type) header.type = *std::move(type);
        return type.has_value();
    }

    bool boolean(bool& value) {
        skipSpace();
        for (const auto& [word, meaning] : {std::pair{"True", true}, std::pair{"False", false}}) {
            if (!rest_.starts_with(word)) continue;
            rest_.remove_prefix(std::strlen(word));
            value = meaning;
            return true;
        }
        return false;
    }

    bool tuple(std::vector<int64_t>& values) {
        if (!take('(')) return false;
        while (!take(')')) {
            skipSpace();
            int64_t value = 0;
            const auto [end, failed] = std::from_chars(rest_.data(), rest_.data() + rest_.size(), value);
            if (failed != std::errc() || value < 0 || values.size() == kMaxNpyDimensions) return false;
            rest_.remove_prefix(static_cast<size_t>(end - rest_.data()));
            values.push_back(value);
            if (!take(',') && !peek(')')) return false;
        }
        return true;
    }

    std::optional<std::string> string() {
        skipSpace();
        if (rest_.empty() || (rest_[0] != '\'' && rest_[0] != '"')) return {};
        const size_t end = rest_.find(rest_[0], 1);
        if (end == std::string_view::npos) return {};
        std::string text(rest_.substr(1, end - 1));
        rest_.remove_prefix(end + 1);
        return text;
    }

    void skipSpace() { rest_.remove_prefix(std::min(rest_.find_first_not_of(" \t\n\r"), rest_.size())); }
    bool peek(char wanted) {
        skipSpace();
        return rest_.starts_with(wanted);
    }
    bool take(char wanted) {
        const bool taken = peek(wanted);
        if (taken) rest_.remove_prefix(1);
        return taken;
    }

    std::string_view rest_;
};

// Nothing where the product overflows.
std::optional<uint64_t> elementCount(std::span<const int64_t> shape) {
    uint64_t count = 1;
    for (int64_t dimension : shape) {
        if (__builtin_mul_overflow(count, static_cast<uint64_t>(dimension), &count)) return {};
    }
    return count;
}

float halfToFloat(uint16_t half) {
    const uint32_t sign = static_cast<uint32_t>(half & 0x8000u) << 16, exponent = (half >> 10) & 31u,
                   fraction = half & 1023u;
    if (exponent == 0) {  // zero and subnormals: fraction * 2^-24
        const float magnitude = static_cast<float>(fraction) * 0x1p-24f;
        return sign ? -magnitude : magnitude;
    }
    const uint32_t widened = exponent == 31 ? 255u : exponent + 112u;
    return std::bit_cast<float>(sign | widened << 23 | fraction << 13);
}

template <typename Element, typename Convert>
void convertElements(std::span<const std::byte> data, std::vector<float>& values, Convert convert) {
    for (size_t i = 0; i < values.size(); ++i) {
        Element element;
        std::memcpy(&element, data.data() + i * sizeof(Element), sizeof(Element));
        values[i] = convert(element);
    }
}

Outcome<NpyArray> readElements(const Header& header, std::span<const std::byte> data) {
    const size_t elementBytes = header.type == "<f4" ? 4 : header.type == "<f2" ? 2 : header.type == "<f8" ? 8 : 0;
    if (elementBytes == 0)
        return bad(fmt::format("elements of type {:?}, only '<f4', '<f2' and '<f8' are read", header.type));
    const std::optional<uint64_t> count = elementCount(header.shape);
    const std::string shape = describeShape(header.shape);
    if (!count || *count > kMaxFileBytes) return bad(fmt::format("the shape {} is too large", shape));
    if (*count * elementBytes != data.size()) {
        return bad(fmt::format("{} bytes of data, the shape {} of '{}' needs {}", data.size(), shape, header.type,
                               *count * elementBytes));
    }
    if (header.fortranOrder && header.shape.size() > 1)
        return bad("the array is in Fortran order, only C order is read");
    try {
        NpyArray array{header.shape, std::vector<float>(static_cast<size_t>(*count))};
        if (elementBytes == 4) convertElements<float>(data, array.values, [](float value) { return value; });
        if (elementBytes == 8)
            convertElements<double>(data, array.values, [](double v) { return static_cast<float>(v); });
        if (elementBytes == 2) convertElements<uint16_t>(data, array.values, halfToFloat);
        return array;
    } catch (const std::bad_alloc&) {
        return Failure{ExitStatus::DeviceFailed, fmt::format("no memory for an array of {}", shape)};
    }
}

}  // namespace

std::string describeShape(std::span<const int64_t> shape) {
    return fmt::format("[{}]", fmt::join(shape, ", "));
}

Outcome<NpyArray> parseNpy(std::span<const std::byte> file) {
    const std::string_view text(reinterpret_cast<const char*>(file.data()), file.size());
    if (!text.starts_with(kMagic)) return bad("not a .npy file: it does not begin with \\x93NUMPY");
    if (file.size() < 10) return bad(fmt::format("the file ends within its header, after {} bytes", file.size()));
    const unsigned major = std::to_integer<unsigned>(file[6]);
    if (major < 1 || major > 3) return bad(fmt::format("format version {}, only 1 to 3 are read", major));

    const size_t lengthBytes = major == 1 ? 2 : 4, start = 8 + lengthBytes;
    if (file.size() < start) return bad(fmt::format("the file ends within its header, after {} bytes", file.size()));
    uint32_t length = 0;
    std::memcpy(&length, file.data() + 8, lengthBytes);
    if (length > file.size() - start) {
        return bad(fmt::format("a header of {} bytes in a file of {}", length, file.size()));
    }
    const std::optional<Header> header = HeaderParser(text.substr(start, length)).parse();
    if (!header) return bad("the header is not a description of an array");
    return readElements(*header, file.subspan(start + length));
}

Outcome<NpyArray> readNpy(const std::filesystem::path& path) {
    DUNLIN_CLI_ASSIGN(const std::vector<std::byte> file, readFile(path));
    Outcome<NpyArray> array = parseNpy(file);
    if (!array.ok()) return Failure{array.failure().status, path.string() + ": " + array.failure().message};
    return array;
}

Check writeNpy(OutputFiles& files, const std::filesystem::path& path, std::span<const int64_t> shape,
               std::span<const float> values) {
    std::string header = fmt::format("{{'descr': '<f4', 'fortran_order': False, 'shape': ({}{}), }}",
                                     fmt::join(shape, ", "), shape.size() == 1 ? "," : "");
    constexpr size_t kPrefix = kMagic.size() + 4;  // version and length
    const size_t total = (kPrefix + header.size() + 1 + kHeaderAlignment - 1) / kHeaderAlignment * kHeaderAlignment;
    header.resize(total - kPrefix - 1, ' ');
    header += '\n';
    const std::string prefix = std::string(kMagic) + '\x01' + '\x00' + static_cast<char>(header.size() & 255) +
                               static_cast<char>(header.size() >> 8);
    const std::string whole = prefix + header;
    return files.write(path, std::as_bytes(std::span(whole)), std::as_bytes(values));
}

}  // namespace dunlin::cli
