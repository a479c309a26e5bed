// From words to a command, and from its outcome to an exit status.
#pragma once

#include <functional>
#include <span>
#include <string>

#include "tools/dunlin/commands.h"

namespace dunlin::cli {

// The value of an environment variable, or null.
using Environment = std::function<const char*(const char*)>;

// The words after the program's name. Pure: nothing is opened or printed. WrongUse for what makes no sense.
Outcome<Invocation> parseCommandLine(std::span<const std::string> words, const Environment& environment);

// Where compiled pipelines are kept by default; empty where the environment names no home.
std::string defaultCacheDirectory(const Environment& environment);

// Parses, runs and reports; never throws. The process's exit status.
int runCommandLine(std::span<const std::string> words);

}  // namespace dunlin::cli
