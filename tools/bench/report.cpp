#include "tools/bench/commands.h"

namespace dunlin::bench {

Outcome<ExitStatus> report(const ReportOptions&) {
    return cli::Failure{ExitStatus::WrongUse, "bench report is not built yet"};
}

}  // namespace dunlin::bench
