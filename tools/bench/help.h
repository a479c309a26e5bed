// What `dunlin bench ... --help` says beyond the options: by example.
#pragma once

#include "tools/dunlin/help.h"

namespace dunlin::bench {

inline constexpr cli::CommandHelp kBenchHelp = {
    "bench", "Measures networks, kernels and shaders of your own, beside what the device can do at most.",
    "Examples:\n"
    "  dunlin bench model mobilenetv3_large_100 --device vulkan\n"
    "  dunlin bench kernels 'depthwise/*k5*' --device vulkan\n"
    "  dunlin bench shader mine.comp --like 'depthwise/56x56x72/k3s1*' --watch\n"
    "  dunlin bench report before.json after.json -o report.html\n"
    "  dunlin bench compare before.json after.json --threshold 5%\n"
    "\n"
    "Everything is verified before it is timed. `dunlin bench COMMAND --help` says more."};

inline constexpr cli::CommandHelp kModelHelp = {
    "model", "Whole networks: starts, GPU and wall time, frames in flight, memory, and the device's physical limit.",
    "Examples:\n"
    "  dunlin bench model mobilenetv3_small_100\n"
    "  dunlin bench model mobilenetv2_100 mobilevit_s --device cpu,vulkan --precision fp32,fp16 --batch 1,8\n"
    "  dunlin bench model mobilenetv3_large_100 --device vulkan --trace frame.json -o result.json\n"
    "\n"
    "An architecture without weights gets formula weights. Runs of several models and devices take turns, so that\n"
    "drift hits all alike. The trace opens in ui.perfetto.dev and chrome://tracing."};

inline constexpr cli::CommandHelp kKernelsHelp = {
    "kernels", "Every kernel variant on layers of real networks: verified, then timed, beside the device's ceilings.",
    "Examples:\n"
    "  dunlin bench kernels --list\n"
    "  dunlin bench kernels pointwise --precision fp16\n"
    "  dunlin bench kernels 'depthwise/*k5*' --family MobileNetV3 --json\n"
    "\n"
    "FILTER is a part of an id, or a pattern with * and ? that a whole id must fit. Every variant is compared with "
    "the\n"
    "oracle and repeated for identical bits before it is timed. Exit status 1 where one is wrong or not repeatable."};

inline constexpr cli::CommandHelp kShaderHelp = {
    "shader", "A shader of your own in the place of one of the library's kernels: verified, and timed beside them.",
    "Examples:\n"
    "  dunlin bench shader mine.comp --like 'depthwise/56x56x72/k3s1*'\n"
    "  dunlin bench shader mine.comp --like 'pointwise/14x14x112-672/silu*' -D TILE_X=2 --watch\n"
    "\n"
    "The contract of a kernel (bindings, push constants, specialization constants, workgroups) is the comment that "
    "its\n"
    "shader begins with; the id's variant says which workgroups are dispatched. TILE_X and TILE_Y (also the constants\n"
    "16 and 17), FP16 and TEXEL are defined as for it. Exit status 1 where the result is wrong or not repeatable, or\n"
    "written past a binding's end.\n"
    "Everything runs with robustBufferAccess here, so times may be longer than those of `dunlin bench kernels`."};

inline constexpr cli::CommandHelp kReportHelp = {
    "report", "One self-contained page from results: roofline, layers, models by device, comparison.",
    "Examples:\n"
    "  dunlin bench model mobilenetv3_large_100 --device vulkan -o a.json\n"
    "  dunlin bench report a.json -o report.html\n"
    "  dunlin bench report before.json after.json -o report.html\n"
    "  dunlin bench report tools/bench/results/*.json --markdown"};

inline constexpr cli::CommandHelp kCompareHelp = {
    "compare", "What changed between two results, and whether it is more than noise.",
    "Examples:\n"
    "  dunlin bench compare before.json after.json\n"
    "  dunlin bench compare before.json after.json --threshold 3% --json\n"
    "\n"
    "Exit status 1 where something is slower by more than the threshold and the difference is significant, fails or\n"
    "is wrong now, has no samples to judge by and a median slower by more than the threshold, or is missing because\n"
    "AFTER is incomplete. Results of different devices or drivers are not compared."};

// Hidden: for `bench model` alone.
inline constexpr cli::CommandHelp kStartHelp = {"start", "One start of an application, timed to its first result.", ""};

}  // namespace dunlin::bench
