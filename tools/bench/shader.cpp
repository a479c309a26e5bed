#include "tools/bench/commands.h"

namespace dunlin::bench {

Outcome<ExitStatus> shader(const ShaderBenchOptions&) {
    return cli::Failure{ExitStatus::WrongUse, "bench shader is not built yet"};
}

}  // namespace dunlin::bench
