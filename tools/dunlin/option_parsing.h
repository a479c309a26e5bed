// What parsing has in common, whichever command it is for. Failures are all WrongUse.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <span>
#include <string>

#include "tools/dunlin/commands.h"
#include "tools/dunlin/help.h"
#include "tools/dunlin/outcome.h"

namespace dunlin::cli {

Failure wrongUse(std::string message);

CLI::App& addCommand(CLI::App& app, const CommandHelp& help);

// An option's value must be a whole number from `low` to `high`.
CLI::Validator wholeNumber(uint32_t low, uint32_t high);
// 0 to so many, finite: CLI11's ranges take "nan" for a number within.
CLI::Validator seconds(double most);

// --device: cpu, vulkan or vulkan:N.
Check checkDevice(const std::string& device);

// CLI11's sentence about a word that is no command lists it among unexpected arguments; this one says what is wrong.
// `program` is what stands before the command: "dunlin".
Check checkCommandName(const CLI::App& app, std::span<const std::string> words, const char* program);

// CLI11 takes whatever follows an option as its value, be it another option, and would call an unknown option missing
// pictures. words[0] is the command.
Check checkWords(const CLI::App& app, std::span<const std::string> words);

// "HxW"
Outcome<InputSize> parseSize(const std::string& text);

}  // namespace dunlin::cli
