// `dunlin bench ...`: from words to a command.
#pragma once

#include <span>
#include <string>
#include <variant>

#include "tools/bench/commands.h"
#include "tools/dunlin/command_line.h"

namespace dunlin::bench {

using Invocation = std::variant<cli::PrintText, ModelBenchOptions, KernelBenchOptions, ShaderBenchOptions,
                                ReportOptions, CompareOptions, StartOptions>;

// The words after "bench". Pure, as cli::parseCommandLine().
Outcome<Invocation> parseCommandLine(std::span<const std::string> words, const cli::Environment& environment);

Outcome<ExitStatus> execute(const Invocation& invocation);

}  // namespace dunlin::bench
