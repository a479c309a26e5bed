// Reading zip archives as PyTorch writes them: entries that are stored, not compressed, so that they can be used in
// place.
#pragma once

#include <string_view>
#include <vector>

#include "runtime/weights/mapped_file.h"

namespace dunlin {

struct ZipEntry {
    std::string name;
    std::span<const std::byte> bytes;  // into the archive
};

// The entries in the order of the central directory; zip64 included. Everything that the archive claims about itself is
// checked: BadFile for compressed, encrypted or doubly named entries and for what lies outside of the file or another
// entry's name. Checksums are not verified, as PyTorch's own reader may be told to write none.
Result<std::vector<ZipEntry>> readZip(std::span<const std::byte> file);

}  // namespace dunlin
