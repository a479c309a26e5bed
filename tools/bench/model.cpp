#include "tools/bench/commands.h"

namespace dunlin::bench {

Outcome<ExitStatus> model(const ModelBenchOptions&) {
    return cli::Failure{ExitStatus::WrongUse, "bench model is not built yet"};
}

}  // namespace dunlin::bench
