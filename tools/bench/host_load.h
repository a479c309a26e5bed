// Whether other programs are in the way of what is measured.
#pragma once

#include <optional>
#include <string>

namespace dunlin::bench {

// How many programs ran or waited to run in the last minute, on average; 0 where the system does not say.
double hostLoad();

// What to say of such a load; nothing where at least half of the processors were idle. The threads of a pool wait for
// each other, so that even one other program can make a run take many times as long.
std::optional<std::string> busyNotice(double load, unsigned processors);

}  // namespace dunlin::bench
