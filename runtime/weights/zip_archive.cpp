#include "runtime/weights/zip_archive.h"

#include <algorithm>
#include <cinttypes>
#include <optional>
#include <unordered_set>

#include "runtime/weights/tensor_data.h"

namespace dunlin {
namespace {

// Names and layouts as in the specification (APPNOTE.TXT, sections 4.3 and 4.5).
constexpr uint32_t kLocalSignature = 0x04034b50, kCentralSignature = 0x02014b50, kEndSignature = 0x06054b50;
constexpr uint32_t kEnd64Signature = 0x06064b50, kLocator64Signature = 0x07064b50;
constexpr uint64_t kLocalBytes = 30, kCentralBytes = 46, kEndBytes = 22, kEnd64Bytes = 56, kLocator64Bytes = 20;
constexpr uint64_t kMaxCommentBytes = 0xffff;
constexpr uint64_t kMaxEntries = 1'000'000;
constexpr uint32_t kSeeZip64 = 0xffffffff;
constexpr uint16_t kSeeZip64Count = 0xffff;
constexpr uint16_t kZip64ExtraId = 1;
constexpr uint16_t kEncrypted = 1;  // flag bit 0

class ByteView {
  public:
    explicit ByteView(std::span<const std::byte> bytes) : bytes_(bytes) {}

    uint64_t size() const { return bytes_.size(); }
    bool has(uint64_t offset, uint64_t count) const { return offset <= size() && count <= size() - offset; }
    // The caller has checked that the number lies inside.
    template <typename Number>
    Number at(uint64_t offset) const {
        return loadLittle<Number>(bytes_.data() + offset);
    }
    std::span<const std::byte> piece(uint64_t offset, uint64_t count) const { return bytes_.subspan(offset, count); }
    std::string_view text(uint64_t offset, uint64_t count) const {
        return {reinterpret_cast<const char*>(bytes_.data()) + offset, count};
    }

  private:
    std::span<const std::byte> bytes_;
};

struct Directory {
    uint64_t offset = 0, sizeBytes = 0, entryCount = 0;
    uint64_t end = 0;  // where the record lies that says so: nothing of the directory may lie beyond
};

std::optional<uint64_t> findEndRecord(const ByteView& file) {
    if (file.size() < kEndBytes) return std::nullopt;
    const uint64_t last = file.size() - kEndBytes;
    const uint64_t first = last > kMaxCommentBytes ? last - kMaxCommentBytes : 0;
    for (uint64_t offset = last + 1; offset-- > first;) {
        // the comment must reach the end of the file exactly, else a comment could pose as the record
        if (file.at<uint32_t>(offset) == kEndSignature && file.at<uint16_t>(offset + 20) == last - offset)
            return offset;
    }
    return std::nullopt;
}

Result<Directory> readZip64Directory(const ByteView& file, uint64_t endRecord) {
    const uint64_t locator = endRecord - kLocator64Bytes;
    const auto offset = file.at<uint64_t>(locator + 8);
    if (!file.has(offset, kEnd64Bytes) || offset + kEnd64Bytes > locator ||
        file.at<uint32_t>(offset) != kEnd64Signature) {
        return error(StatusCode::BadFile, "the zip64 end record is not at byte %" PRIu64 ", where the zip archive says",
                     offset);
    }
    if (file.at<uint32_t>(offset + 16) != 0 || file.at<uint32_t>(offset + 20) != 0) {
        return error(StatusCode::BadFile, "it is one part of a zip archive in several files");
    }
    return Directory{file.at<uint64_t>(offset + 48), file.at<uint64_t>(offset + 40), file.at<uint64_t>(offset + 32),
                     offset};
}

Result<Directory> findDirectory(const ByteView& file) {
    const std::optional<uint64_t> end = findEndRecord(file);
    if (!end) {
        return error(StatusCode::BadFile,
                     "the zip archive has no end record; the file of %" PRIu64 " bytes is probably cut", file.size());
    }
    Directory directory{file.at<uint32_t>(*end + 16), file.at<uint32_t>(*end + 12), file.at<uint16_t>(*end + 10), *end};
    const bool hasLocator = *end >= kLocator64Bytes && file.at<uint32_t>(*end - kLocator64Bytes) == kLocator64Signature;
    const bool needsZip64 =
        directory.offset == kSeeZip64 || directory.sizeBytes == kSeeZip64 || directory.entryCount == kSeeZip64Count;
    if (hasLocator) {
        DUNLIN_ASSIGN(directory, readZip64Directory(file, *end));
    } else if (needsZip64) {
        return error(StatusCode::BadFile, "the zip archive refers to a zip64 record that it does not have");
    } else if (file.at<uint16_t>(*end + 4) != 0 || file.at<uint16_t>(*end + 6) != 0) {
        return error(StatusCode::BadFile, "it is one part of a zip archive in several files");
    }
    if (!file.has(directory.offset, directory.sizeBytes) || directory.offset + directory.sizeBytes > directory.end) {
        return error(StatusCode::BadFile,
                     "the zip directory claims %" PRIu64 " bytes at byte %" PRIu64
                     ", but must end before byte %" PRIu64,
                     directory.sizeBytes, directory.offset, directory.end);
    }
    if (directory.entryCount > kMaxEntries || directory.entryCount * kCentralBytes > directory.sizeBytes) {
        return error(StatusCode::BadFile, "the zip directory of %" PRIu64 " bytes claims %" PRIu64 " entries",
                     directory.sizeBytes, directory.entryCount);
    }
    return directory;
}

struct CentralEntry {
    std::string_view name;
    uint64_t storedBytes = 0, plainBytes = 0, localOffset = 0;
    uint16_t flags = 0, method = 0;
};

// The zip64 extra field has those of the three numbers, in this order, that did not fit into 32 bits.
bool readZip64Extra(const ByteView& extra, CentralEntry& entry) {
    uint64_t* const wanted[] = {&entry.plainBytes, &entry.storedBytes, &entry.localOffset};
    const auto missing = [](const uint64_t* number) { return *number == kSeeZip64; };
    if (std::ranges::none_of(wanted, missing)) return true;
    for (uint64_t offset = 0; extra.has(offset, 4);) {
        const uint64_t sizeBytes = extra.at<uint16_t>(offset + 2);
        if (!extra.has(offset + 4, sizeBytes)) return false;
        if (extra.at<uint16_t>(offset) != kZip64ExtraId) {
            offset += 4 + sizeBytes;
            continue;
        }
        const ByteView field(extra.piece(offset + 4, sizeBytes));
        uint64_t at = 0;
        for (uint64_t* number : wanted) {
            if (!missing(number)) continue;
            if (!field.has(at, 8)) return false;
            *number = field.at<uint64_t>(at);
            at += 8;
        }
        return true;
    }
    return false;
}

// One record of the central directory, at `offset`, which moves past it.
Result<CentralEntry> readCentral(const ByteView& file, const Directory& directory, uint64_t& offset) {
    const uint64_t end = directory.offset + directory.sizeBytes;
    if (end - offset < kCentralBytes || file.at<uint32_t>(offset) != kCentralSignature) {
        return error(StatusCode::BadFile, "the zip directory is broken at byte %" PRIu64, offset);
    }
    const uint64_t nameBytes = file.at<uint16_t>(offset + 28), extraBytes = file.at<uint16_t>(offset + 30);
    const uint64_t commentBytes = file.at<uint16_t>(offset + 32);
    if (nameBytes + extraBytes + commentBytes > end - offset - kCentralBytes) {
        return error(StatusCode::BadFile, "the zip directory is broken at byte %" PRIu64, offset);
    }
    CentralEntry entry;
    entry.flags = file.at<uint16_t>(offset + 8);
    entry.method = file.at<uint16_t>(offset + 10);
    entry.storedBytes = file.at<uint32_t>(offset + 20);
    entry.plainBytes = file.at<uint32_t>(offset + 24);
    entry.localOffset = file.at<uint32_t>(offset + 42);
    entry.name = file.text(offset + kCentralBytes, nameBytes);
    if (!readZip64Extra(ByteView(file.piece(offset + kCentralBytes + nameBytes, extraBytes)), entry)) {
        return error(StatusCode::BadFile, "the zip entry %s lacks its zip64 sizes", printable(entry.name).c_str());
    }
    offset += kCentralBytes + nameBytes + extraBytes + commentBytes;
    return entry;
}

Result<ZipEntry> locate(const ByteView& file, const Directory& directory, const CentralEntry& central) {
    const std::string shown = printable(central.name);
    if (!isPlainName(central.name)) {
        return error(StatusCode::BadFile,
                     "the zip entry name \"%s\" is empty, longer than %zu bytes or has control characters",
                     shown.c_str(), kMaxTensorNameBytes);
    }
    if ((central.flags & kEncrypted) != 0)
        return error(StatusCode::BadFile, "the zip entry %s is encrypted", shown.c_str());
    if (central.method != 0) {
        return error(StatusCode::BadFile,
                     "the zip entry %s is compressed (method %d); PyTorch stores entries as they are", shown.c_str(),
                     int{central.method});
    }
    if (central.storedBytes != central.plainBytes) {
        return error(StatusCode::BadFile,
                     "the zip entry %s is stored in %" PRIu64 " bytes, but claims to have %" PRIu64, shown.c_str(),
                     central.storedBytes, central.plainBytes);
    }
    const uint64_t local = central.localOffset;
    if (!file.has(local, kLocalBytes) || file.at<uint32_t>(local) != kLocalSignature) {
        return error(StatusCode::BadFile, "the zip entry %s is not at byte %" PRIu64 ", where the directory says",
                     shown.c_str(), local);
    }
    const uint64_t nameBytes = file.at<uint16_t>(local + 26), extraBytes = file.at<uint16_t>(local + 28);
    if (!file.has(local + kLocalBytes, nameBytes) || file.text(local + kLocalBytes, nameBytes) != central.name) {
        return error(StatusCode::BadFile, "the zip entry at byte %" PRIu64 " has another name than the directory's %s",
                     local, shown.c_str());
    }
    const uint64_t start = local + kLocalBytes + nameBytes + extraBytes;
    if (start > directory.offset || central.storedBytes > directory.offset - start) {
        return error(StatusCode::BadFile,
                     "the zip entry %s claims %" PRIu64 " bytes at byte %" PRIu64 ", but entries end at byte %" PRIu64,
                     shown.c_str(), central.storedBytes, start, directory.offset);
    }
    return ZipEntry{std::string(central.name), file.piece(start, central.storedBytes)};
}

}  // namespace

Result<std::vector<ZipEntry>> readZip(std::span<const std::byte> bytes) {
    const ByteView file(bytes);
    DUNLIN_ASSIGN(const Directory directory, findDirectory(file));
    std::vector<ZipEntry> entries;
    std::unordered_set<std::string_view> names;
    uint64_t offset = directory.offset;
    for (uint64_t i = 0; i < directory.entryCount; ++i) {
        DUNLIN_ASSIGN(const CentralEntry central, readCentral(file, directory, offset));
        if (!names.insert(central.name).second) {
            return error(StatusCode::BadFile, "the zip archive has %s twice", printable(central.name).c_str());
        }
        DUNLIN_ASSIGN(ZipEntry entry, locate(file, directory, central));
        entries.push_back(std::move(entry));
    }
    if (offset != directory.offset + directory.sizeBytes) {
        return error(StatusCode::BadFile,
                     "the zip directory has %" PRIu64 " bytes after its last entry, at byte %" PRIu64,
                     directory.offset + directory.sizeBytes - offset, offset);
    }
    return entries;
}

}  // namespace dunlin
