#include "tools/bench/host_load.h"

#include <fmt/format.h>
#include <stdlib.h>  // getloadavg, which <cstdlib> need not name

namespace dunlin::bench {

double hostLoad() {
#if defined(_WIN32)
    return 0;
#else
    double load = 0;
    return getloadavg(&load, 1) == 1 ? load : 0;
#endif
}

std::optional<std::string> busyNotice(double load, unsigned processors) {
    constexpr double kBusyShare = 0.5;
    if (load <= kBusyShare * processors) return std::nullopt;
    return fmt::format("the machine is busy (load {:.1f} on {} processors): times will be longer than they need be",
                       load, processors);
}

}  // namespace dunlin::bench
