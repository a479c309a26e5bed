#include "tools/dunlin/picture.h"

#include "tests/fuzz/fuzz_target.h"
#include "tools/dunlin/files.h"

namespace dunlin::fuzz {
namespace {

bool parse(std::span<const std::byte> file) {
    const cli::Outcome<cli::Picture> picture = cli::decodePicture(file);
    if (!picture.ok()) {
        require(!picture.failure().message.empty(), "every refusal has a reason");
        return false;
    }
    const bool sane = picture->width >= 1 && picture->width <= cli::kMaxPictureSide && picture->height >= 1 &&
                      picture->height <= cli::kMaxPictureSide;
    require(sane, "sides are in range");
    const size_t pixels = static_cast<size_t>(picture->width) * static_cast<size_t>(picture->height);
    require(picture->pixels.size() == pixels * 4, "there are as many pixels as the size says");
    return true;
}

}  // namespace

std::vector<std::string> corpus() {
    std::vector<std::string> files;
    for (const char* name : {"rgb.png", "palette.png", "grey16.png", "rgb.jpg", "progressive.jpg", "orientation6.jpg",
                             "rgb.bmp", "rgb.gif", "rgb.tga", "rgb.ppm", "grey16.pgm"}) {
        const auto file = cli::readFile(std::string(DUNLIN_SOURCE_DIR "/tests/tools/data/") + name);
        require(file.ok(), "the corpus is there");
        files.emplace_back(reinterpret_cast<const char*>(file->data()), file->size());
    }
    return files;
}

bool accepts(const std::string& input) {
    return parse(toBytes(reinterpret_cast<const uint8_t*>(input.data()), input.size()));
}

}  // namespace dunlin::fuzz

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t sizeBytes) {
    dunlin::fuzz::parse(dunlin::fuzz::toBytes(data, sizeBytes));
    return 0;
}
