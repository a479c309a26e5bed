// In whose place a user's shader runs: the case that --like names, and the form in which it is dispatched.
#pragma once

#include "runtime/tuning/kernel_case.h"
#include "tools/bench/commands.h"
#include "tools/bench/shader_compiler.h"
#include "tools/bench/target.h"

namespace dunlin::bench {

struct ShaderChoice {
    tuning::KernelCase problem;
    tuning::FormedCase user;                // how the user's shader is dispatched
    std::vector<tuning::FormedCase> forms;  // the library's own, all of this case and precision
};

// One for each precision that --precision and --like leave. The form is the one that the id names, else the default
// one; -D TILE_X and TILE_Y change its tile. WrongUse where --like fits no case, or several.
Outcome<std::vector<ShaderChoice>> chooseShaderPlaces(const ShaderBenchOptions& options, const Target& target);

// With the macros that the form says before those of the user.
ShaderSource sourceOf(const ShaderBenchOptions& options, const ShaderChoice& choice);

}  // namespace dunlin::bench
