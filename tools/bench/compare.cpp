#include "tools/bench/commands.h"

namespace dunlin::bench {

Outcome<ExitStatus> compare(const CompareOptions&) {
    return cli::Failure{ExitStatus::WrongUse, "bench compare is not built yet"};
}

}  // namespace dunlin::bench
