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

// --- zip archives

struct ZipPart {
    std::string name, data;
};

// An archive and where its records lie, for tests that change them.
struct ZipFile {
    std::string bytes;
    std::vector<size_t> local, central;
    size_t end = 0;
};

inline ZipFile zipFile(const std::vector<ZipPart>& parts, bool zip64 = false) {
    ZipFile zip;
    for (const ZipPart& part : parts) {
        zip.local.push_back(zip.bytes.size());
        const auto sizeBytes = static_cast<uint32_t>(part.data.size());
        zip.bytes += packed<uint32_t>({0x04034b50}) + packed<uint16_t>({20, 0, 0, 0, 0}) +
                     packed<uint32_t>({0, sizeBytes, sizeBytes});
        zip.bytes += packed<uint16_t>({static_cast<uint16_t>(part.name.size()), 0}) + part.name + part.data;
    }
    const size_t directory = zip.bytes.size();
    for (size_t i = 0; i < parts.size(); ++i) {
        zip.central.push_back(zip.bytes.size());
        const uint64_t sizeBytes = parts[i].data.size(), offset = zip.local[i];
        const auto shown = [&](uint64_t number) { return little(zip64 ? 0xffffffffu : static_cast<uint32_t>(number)); };
        const std::string extra =
            zip64 ? packed<uint16_t>({7, 2, 0, 1, 24}) + packed<uint64_t>({sizeBytes, sizeBytes, offset}) : "";
        zip.bytes += packed<uint32_t>({0x02014b50}) + packed<uint16_t>({20, 20, 0, 0, 0, 0}) + little(uint32_t{0});
        zip.bytes += shown(sizeBytes) + shown(sizeBytes);
        zip.bytes += packed<uint16_t>(
            {static_cast<uint16_t>(parts[i].name.size()), static_cast<uint16_t>(extra.size()), 0, 0, 0});
        zip.bytes += little(uint32_t{0}) + shown(offset) + parts[i].name + extra;
    }
    const uint64_t directoryBytes = zip.bytes.size() - directory, count = parts.size();
    if (zip64) {
        const uint64_t record = zip.bytes.size();
        zip.bytes +=
            little(uint32_t{0x06064b50}) + little(uint64_t{44}) + packed<uint16_t>({45, 45}) + packed<uint32_t>({0, 0});
        zip.bytes += packed<uint64_t>({count, count, directoryBytes, directory});
        zip.bytes += packed<uint32_t>({0x07064b50, 0}) + little(record) + little(uint32_t{1});
    }
    zip.end = zip.bytes.size();
    const auto shownCount = static_cast<uint16_t>(zip64 ? 0xffff : count);
    zip.bytes += little(uint32_t{0x06054b50}) + packed<uint16_t>({0, 0, shownCount, shownCount});
    zip.bytes += zip64 ? packed<uint32_t>({0xffffffff, 0xffffffff})
                       : packed<uint32_t>({static_cast<uint32_t>(directoryBytes), static_cast<uint32_t>(directory)});
    zip.bytes += little(uint16_t{0});
    return zip;
}

template <typename Number>
std::string patched(std::string bytes, size_t offset, Number number) {
    std::memcpy(bytes.data() + offset, &number, sizeof number);
    return bytes;
}

// --- pickles, protocol 2

namespace pickle {

inline std::string text(std::string_view word) {
    return std::string("X").append(little(static_cast<uint32_t>(word.size()))).append(word);
}
inline std::string integer(int64_t number) {
    return std::string("\x8a\x08").append(little(number));
}
inline std::string global(std::string_view module, std::string_view name) {
    return std::string("c").append(module).append("\n").append(name).append("\n");
}
inline std::string tuple(const std::vector<std::string>& items) {
    std::string all = "(";
    for (const std::string& item : items) all += item;
    return all + "t";
}
inline std::string integers(const std::vector<int64_t>& numbers) {
    std::vector<std::string> items;
    for (const int64_t number : numbers) items.push_back(integer(number));
    return tuple(items);
}
inline std::string dict(const std::vector<std::pair<std::string, std::string>>& items) {
    std::string all = "}(";
    for (const auto& [key, value] : items) all += text(key) + value;
    return all + "u";
}
inline std::string storage(std::string_view type, std::string_view key, int64_t count) {
    return tuple({text("storage"), global("torch", type), text(key), text("cpu"), integer(count)}) + "Q";
}
inline std::string tensor(const std::string& storage, int64_t offset, const std::vector<int64_t>& shape,
                          const std::vector<int64_t>& strides) {
    const std::string hooks = global("collections", "OrderedDict") + ")R";
    return global("torch._utils", "_rebuild_tensor_v2") +
           tuple({storage, integer(offset), integers(shape), integers(strides), "\x89", hooks}) + "R";
}
inline std::string program(const std::string& value) {
    return "\x80\x02" + value + ".";
}

}  // namespace pickle

inline std::string checkpointFile(const std::string& pickled, const std::vector<ZipPart>& storages = {}) {
    std::vector<ZipPart> parts = {{"archive/data.pkl", pickled}};
    for (const ZipPart& storage : storages)
        parts.push_back({std::string("archive/data/").append(storage.name), storage.data});
    parts.push_back({"archive/version", "3\n"});
    return zipFile(parts).bytes;
}

}  // namespace dunlin::test
