#include "tools/bench/commands.h"

namespace dunlin::bench {

Outcome<ExitStatus> kernels(const KernelBenchOptions&) {
    return cli::Failure{ExitStatus::WrongUse, "bench kernels is not built yet"};
}

}  // namespace dunlin::bench
