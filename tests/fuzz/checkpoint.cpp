#include "runtime/weights/torch_checkpoint.h"
#include "tests/fuzz/fuzz_target.h"
#include "tests/weights_files.h"

namespace dunlin::fuzz {
namespace {

bool parse(std::vector<std::byte> bytes) {
    const auto weights = openTorchCheckpoint(inMemory("fuzz", std::move(bytes)));
    if (!weights.ok()) {
        require(!weights.status().message().empty(), "every refusal has a reason");
        return false;
    }
    readEverything(**weights);
    return true;
}

// The format before zip begins with a pickle too, of this number.
constexpr std::string_view kLegacyMagic = "\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19\x2e";

bool isPickle(const std::vector<std::byte>& bytes) {
    const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    return text.starts_with('\x80') && !text.starts_with(kLegacyMagic);
}

// The bytes are a whole archive, or the pickle inside of a good one: mutations of an archive seldom reach the pickle.
bool parseEither(std::vector<std::byte> bytes) {
    if (!isPickle(bytes)) return parse(std::move(bytes));
    const std::string pickle(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    return parse(test::toBytes(test::checkpointFile(pickle, {{"0", std::string(24, '\1')}})));
}

}  // namespace

bool accepts(const std::string& input) {
    return parseEither(test::toBytes(input));
}

std::vector<std::string> corpus() {
    using namespace test::pickle;
    const std::string view = tensor(storage("FloatStorage", "0", 6), 1, {2, 2}, {1, 2});
    const std::string doubles = tensor(storage("DoubleStorage", "0", 3), 0, {3}, {1});
    const std::string plain = program(dict({{"weight", view}, {"bias", doubles}}));
    const std::string wrapped = program(dict(
        {{"epoch", integer(3)}, {"state_dict", global("collections", "OrderedDict") + ")R" + text("w") + view + "s"}}));
    const std::vector<test::ZipPart> parts = {{"x/data.pkl", plain}, {"x/data/0", std::string(24, '\1')}};
    const std::string old =
        tuple({text("storage"), global("torch", "FloatStorage"), text("0"), text("cpu"), integer(2), "N"}) + "Q";
    const std::string legacy = std::string(kLegacyMagic) + program(integer(1001)) + program(dict({})) +
                               program(dict({{"w", tensor(old, 0, {2}, {1})}})) + program("](" + text("0") + "e") +
                               test::little(int64_t{2}) + std::string(8, '\1');
    return {plain, wrapped, test::zipFile(parts).bytes, test::zipFile(parts, /* zip64 = */ true).bytes, legacy};
}

}  // namespace dunlin::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t sizeBytes) {
    dunlin::fuzz::parseEither(dunlin::fuzz::toBytes(data, sizeBytes));
    return 0;
}
