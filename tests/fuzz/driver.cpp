// Runs a fuzz target without libFuzzer: over its corpus, over the files named, or over mutations that are the same each
// time.
#include <cstdio>
#include <fstream>
#include <iterator>
#include <random>

#include "tests/fuzz/fuzz_target.h"

namespace dunlin::fuzz {
namespace {

constexpr int kMutantsPerSeed = 20000;

void run(const std::string& input) {
    LLVMFuzzerTestOneInput(reinterpret_cast<const uint8_t*>(input.data()), input.size());
}

// Numbers and texts at which parsers stumble.
const std::string kInteresting[] = {
    {"\0", 1},
    "\x7f",
    "\x80",
    "\xff",
    {"\0\0\0\0\0\0\0\x80", 8},
    "\xff\xff\xff\xff\xff\xff\xff\xff",
    "\xff\xff\xff\xff",
    "\xff\xff",
    "0",
    "-1",
    "4294967296",
    "9223372036854775807",
    "18446744073709551615",
    "1e999",
    "null",
    "[[[[",
    "{\"\":",
    "\"",
    "}",
    "]",
    "(",
    "t",
    "R",
    "Q",
    "h\1",
    "cos\nsystem\n",
};

class Mutator {
  public:
    std::string mutate(std::string input, const std::vector<std::string>& seeds) {
        for (size_t times = 1 + below(4); times > 0; --times) mutateOnce(input, seeds);
        return input;
    }

  private:
    size_t below(size_t limit) { return limit == 0 ? 0 : random_() % limit; }

    void mutateOnce(std::string& input, const std::vector<std::string>& seeds) {
        const size_t at = below(input.size());
        switch (below(7)) {
            case 0:
                if (!input.empty()) input[at] = static_cast<char>(input[at] ^ (1 << below(8)));
                return;
            case 1:
                if (!input.empty()) input[at] = static_cast<char>(below(256));
                return;
            case 2:
                input.resize(at);
                return;
            case 3:
                input.erase(at, 1 + below(8));
                return;
            case 4:
                input.insert(at, kInteresting[below(std::size(kInteresting))]);
                return;
            case 5: {
                const std::string& word = kInteresting[below(std::size(kInteresting))];
                input.replace(at, word.size(), word);
                return;
            }
            default: {
                const std::string& other = seeds[below(seeds.size())];
                const size_t from = below(other.size());
                input.insert(at, other, from, below(64));
            }
        }
    }

    std::minstd_rand random_{42};
};

void runMutants() {
    const std::vector<std::string> seeds = corpus();
    Mutator mutator;
    int accepted = 0;
    for (const std::string& seed : seeds) {
        require(accepts(seed), "the corpus is accepted");
        for (size_t length = 0; length < seed.size(); ++length) run(seed.substr(0, length));
        for (int i = 0; i < kMutantsPerSeed; ++i) {
            const std::string mutant = mutator.mutate(seed, seeds);
            accepted += accepts(mutant);
        }
    }
    std::printf("%zu seeds, %d mutants of each, %d accepted\n", seeds.size(), kMutantsPerSeed, accepted);
    // were none accepted, only the first check of the parser would have been tried
    require(accepted > 0, "some mutants are accepted");
}

}  // namespace
}  // namespace dunlin::fuzz

int main(int argc, char** argv) {
    for (int i = 1; i < argc; ++i) {
        std::ifstream stream(argv[i], std::ios::binary);
        dunlin::fuzz::run({std::istreambuf_iterator<char>(stream), {}});
    }
    if (argc == 1) dunlin::fuzz::runMutants();
    return 0;
}
