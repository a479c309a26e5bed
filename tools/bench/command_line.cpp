#include "tools/bench/command_line.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>
#include <cmath>
#include <filesystem>
#include <set>

#include "tools/bench/help.h"
#include "tools/dunlin/option_parsing.h"
#include "tools/dunlin/output.h"

namespace dunlin::bench {
namespace {

using cli::Check;
using cli::seconds;
using cli::wholeNumber;
using cli::wrongUse;

constexpr uint32_t kMaxThreads = 256, kMaxBatch = DUNLIN_MAX_BATCH;
constexpr double kMaxSeconds = 3600, kMaxTuneSeconds = 86400;

struct Parsed {
    ModelBenchOptions model;
    KernelBenchOptions kernels;
    ShaderBenchOptions shader;
    ReportOptions report;
    CompareOptions compare;
    StartOptions start;
    std::vector<std::string> precisions, sizes;
    std::string cache, size, fusion = "default", threshold;
    bool noCeilings = false, noStarts = false;
};

void addMeasureOptions(CLI::App& command, MeasureOptions& measure, Parsed& parsed, bool takesCpu) {
    command
        .add_option("--device", measure.devices,
                    std::string(takesCpu ? "cpu, " : "") +
                        "vulkan (the best Vulkan device) or vulkan:N; several with commas between them")
        ->delimiter(',')
        ->allow_extra_args(false)
        ->type_name("DEVICE");
    command.add_option("--precision", parsed.precisions, "auto, fp32 or fp16; several with commas between them")
        ->delimiter(',')
        ->allow_extra_args(false)
        ->check(CLI::IsMember({"auto", "fp32", "fp16"}))
        ->type_name("PRECISION");
    command.add_option("--seconds", measure.seconds, "how long to time each result")
        ->check(CLI::Range(0.001, kMaxSeconds))
        ->type_name("S");
    command.add_option("--timeout", measure.timeoutSeconds, "seconds after which a submission counts as hung")
        ->check(CLI::Range(0.01, kMaxSeconds))
        ->type_name("S");
    command
        .add_option("--cache", parsed.cache,
                    "folder for compiled pipelines and tuned kernels, or none; default: the user's cache folder")
        ->type_name("DIR");
    command.add_option("-o,--output", measure.output, "writes the JSON document to a file, too")->type_name("FILE");
    command.add_flag("--no-ceilings", parsed.noCeilings, "do not measure what the device can do at most");
    command.add_flag("--validation", measure.validation, "run under the Khronos validation layer (times mean nothing)");
    command.add_flag("--quiet", measure.quiet, "no notices and no progress bar on stderr");
    command.add_flag("--json", measure.json, "one JSON document on stdout");
}

void addModelCommand(CLI::App& app, Parsed& parsed) {
    CLI::App& command = cli::addCommand(app, kModelHelp);
    command
        .add_option("MODEL", parsed.model.models,
                    "shipped or pulled models, architectures (see `dunlin models`), weights files, folders")
        ->required()
        ->type_name("");
    command.add_option("--weights", parsed.model.weights, "weights of the one MODEL: a file, or synthetic")
        ->type_name("FILE");
    command
        .add_option("--size", parsed.sizes,
                    "height and width of the input in pixels; several with commas; default: the model's own")
        ->delimiter(',')
        ->allow_extra_args(false)
        ->type_name("HxW");
    command.add_option("--batch", parsed.model.batches, "images that go through together; several with commas")
        ->delimiter(',')
        ->allow_extra_args(false)
        ->check(wholeNumber(1, kMaxBatch))
        ->type_name("N");
    command.add_option("--fusion", parsed.fusion, "default, or max: whole blocks in one dispatch")
        ->check(CLI::IsMember({"default", "max"}))
        ->type_name("PLAN");
    command
        .add_option("--tune", parsed.model.tuneSeconds,
                    "measure each network on Vulkan a second time, with kernels tuned for so many seconds at most")
        ->check(seconds(kMaxTuneSeconds))
        ->type_name("SECONDS");
    command.add_option("--threads", parsed.model.measure.threads, "threads of the CPU; 0: as many as there are")
        ->check(wholeNumber(0, kMaxThreads))
        ->type_name("N");
    command.add_flag("--no-starts", parsed.noStarts, "do not measure cold and warm starts");
    command.add_option("--trace", parsed.model.trace, "writes a Chrome/Perfetto trace of one frame of each run")
        ->type_name("FILE.json");
    addMeasureOptions(command, parsed.model.measure, parsed, true);
}

void addLayerOptions(CLI::App& command, LayerChoice& layers, Parsed& parsed) {
    command.add_option("--family", layers.families, "families of networks, with commas between them")
        ->delimiter(',')
        ->allow_extra_args(false)
        ->type_name("NAME");
    command
        .add_option("--models", layers.models,
                    "architectures whose layers are taken, with commas between them; default: some of each family")
        ->delimiter(',')
        ->allow_extra_args(false)
        ->type_name("NAME");
    command.add_option("--size", parsed.size, "height and width of the networks' input; default: their own")
        ->type_name("HxW");
    command.add_option("--batch", layers.batch, "images that go through together")
        ->check(wholeNumber(1, kMaxBatch))
        ->type_name("N");
}

void addKernelsCommand(CLI::App& app, Parsed& parsed) {
    CLI::App& command = cli::addCommand(app, kKernelsHelp);
    KernelBenchOptions& kernels = parsed.kernels;
    command.add_option("FILTER", kernels.filters, "parts of ids, or patterns with * and ?; default: all")
        ->type_name("");
    command.add_option("--kernel", kernels.kernels, "kernels by name, with commas between them")
        ->delimiter(',')
        ->allow_extra_args(false)
        ->type_name("NAME");
    addLayerOptions(command, kernels.layers, parsed);
    command.add_flag("--list", kernels.list, "only lists the ids");
    addMeasureOptions(command, kernels.measure, parsed, false);
}

void addShaderCommand(CLI::App& app, Parsed& parsed) {
    CLI::App& command = cli::addCommand(app, kShaderHelp);
    command.add_option("FILE", parsed.shader.file, "a compute shader in GLSL")->required()->type_name("");
    command.add_option("--like", parsed.shader.like, "an id of `dunlin bench kernels --list`, or a pattern")
        ->required()
        ->type_name("ID");
    command.add_option("-D", parsed.shader.defines, "defines a macro; may be given several times")
        ->allow_extra_args(false)
        ->type_name("NAME[=VALUE]");
    command.add_option("-I", parsed.shader.includes, "folder for #include; may be given several times")
        ->allow_extra_args(false)
        ->type_name("DIR");
    command.add_flag("--watch", parsed.shader.watch, "measure again whenever the file or what it includes changes");
    addLayerOptions(command, parsed.shader.layers, parsed);
    addMeasureOptions(command, parsed.shader.measure, parsed, false);
}

void addReportCommand(CLI::App& app, Parsed& parsed) {
    CLI::App& command = cli::addCommand(app, kReportHelp);
    command.add_option("FILE", parsed.report.files, "results (.json); the first is what others are compared with")
        ->required()
        ->type_name("");
    command.add_option("-o,--output", parsed.report.output, "where to write the page")->type_name("REPORT.html");
    command.add_flag("--markdown", parsed.report.markdown, "a table in Markdown on stdout instead");
}

void addCompareCommand(CLI::App& app, Parsed& parsed) {
    CLI::App& command = cli::addCommand(app, kCompareHelp);
    command.add_option("BEFORE", parsed.compare.before, "a result (.json)")->required()->type_name("");
    command.add_option("AFTER", parsed.compare.after, "another, of the same device")->required()->type_name("");
    command
        .add_option("--threshold", parsed.threshold,
                    "how much slower is a regression: 5%, 0.05 or 1.05 all mean a twentieth; default: 5%")
        ->type_name("X");
    command.add_flag("--all", parsed.compare.all, "also the rows that are the same or unclear");
    command.add_flag("--json", parsed.compare.json, "one JSON document on stdout");
}

// Says exactly what is to be started, with nothing left to defaults.
void addStartCommand(CLI::App& app, Parsed& parsed) {
    CLI::App& command = cli::addCommand(app, kStartHelp);
    command.group("");
    StartOptions& start = parsed.start;
    command.add_option("MODEL", start.model.name)->required();
    command.add_option("--weights", start.model.weights);
    command.add_option("--device", start.common.device)->required();
    command.add_option("--size", parsed.size)->required();
    command.add_option("--batch", start.batch)->required()->check(wholeNumber(1, kMaxBatch));
    command.add_option("--precision", parsed.precisions)->required()->check(CLI::IsMember({"fp32", "fp16"}));
    command.add_option("--fusion", parsed.fusion)->required()->check(CLI::IsMember({"default", "max"}));
    command.add_option("--threads", start.common.threads)->required()->check(wholeNumber(0, kMaxThreads));
    command.add_option("--cache", parsed.cache)->required();
    command.add_flag("--validation", start.common.validation);
}

template <typename T>
bool hasRepeats(const std::vector<T>& values) {
    for (auto value = values.begin(); value != values.end(); ++value) {
        if (std::find(values.begin(), value, *value) != value) return true;
    }
    return false;
}

Check finishMeasure(MeasureOptions& measure, const Parsed& parsed, const cli::Environment& environment) {
    for (const std::string& device : measure.devices) {
        if (device.empty()) return wrongUse("--device needs a value");
        DUNLIN_CLI_TRY(cli::checkDevice(device));
    }
    if (hasRepeats(measure.devices)) return wrongUse("--device names a device twice");
    for (const std::string& name : parsed.precisions) {
        measure.precisions.push_back(name == "fp32"   ? DUNLIN_PRECISION_FP32
                                     : name == "fp16" ? DUNLIN_PRECISION_FP16
                                                      : DUNLIN_PRECISION_AUTO);
    }
    if (measure.precisions.empty()) measure.precisions = {DUNLIN_PRECISION_AUTO};
    if (hasRepeats(measure.precisions)) return wrongUse("--precision names a precision twice");
    measure.cacheDirectory = parsed.cache.empty()     ? cli::defaultCacheDirectory(environment)
                             : parsed.cache == "none" ? std::string()
                                                      : parsed.cache;
    measure.ceilings = !parsed.noCeilings;
    return {};
}

Check finishModel(ModelBenchOptions& model, const Parsed& parsed, const cli::Environment& environment) {
    DUNLIN_CLI_TRY(finishMeasure(model.measure, parsed, environment));
    for (const std::string& text : parsed.sizes) {
        DUNLIN_CLI_ASSIGN(const cli::InputSize size, cli::parseSize(text));
        model.sizes.push_back(size);
    }
    if (model.sizes.empty()) model.sizes = {cli::InputSize{}};
    if (model.batches.empty()) model.batches = {1};
    if (hasRepeats(model.models)) return wrongUse("a MODEL is given twice");
    if (hasRepeats(model.sizes)) return wrongUse("--size names a size twice");
    if (hasRepeats(model.batches)) return wrongUse("--batch names a batch twice");
    if (!model.weights.empty() && model.models.size() > 1) {
        return wrongUse(fmt::format("--weights belongs to one MODEL, and {} are given", model.models.size()));
    }
    if (parsed.fusion == "max") model.fusion = DUNLIN_FUSION_MAX;
    model.starts = !parsed.noStarts;
    return {};
}

Check finishLayers(LayerChoice& layers, const Parsed& parsed) {
    if (parsed.size.empty()) return {};
    DUNLIN_CLI_ASSIGN(layers.size, cli::parseSize(parsed.size));
    return {};
}

Check finishShader(ShaderBenchOptions& shader, const Parsed& parsed, const cli::Environment& environment) {
    DUNLIN_CLI_TRY(finishMeasure(shader.measure, parsed, environment));
    DUNLIN_CLI_TRY(finishLayers(shader.layers, parsed));
    const auto isLetter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; };
    for (const std::string& define : shader.defines) {
        const std::string name = define.substr(0, define.find('='));
        const bool isName = !name.empty() && isLetter(name[0]) && std::all_of(name.begin(), name.end(), [&](char c) {
            return isLetter(c) || (c >= '0' && c <= '9');
        });
        if (!isName) return wrongUse(fmt::format("-D {}: '{}' is no name of a macro", define, name));
        if (define.find('\n') != std::string::npos) return wrongUse(fmt::format("-D {}: has several lines", define));
    }
    for (const std::string& folder : shader.includes) {
        std::error_code error;
        if (std::filesystem::is_directory(folder, error)) continue;
        return wrongUse(fmt::format("-I {}: there is no such folder", folder));
    }
    return {};
}

Check finishStart(StartOptions& start, const Parsed& parsed) {
    DUNLIN_CLI_TRY(cli::checkDevice(start.common.device));
    DUNLIN_CLI_ASSIGN(start.size, cli::parseSize(parsed.size));
    start.common.precision = parsed.precisions.front() == "fp16" ? DUNLIN_PRECISION_FP16 : DUNLIN_PRECISION_FP32;
    if (parsed.cache != "none") start.common.cacheDirectory = parsed.cache;
    start.common.quiet = true;
    if (parsed.fusion == "max") start.fusion = DUNLIN_FUSION_MAX;
    return {};
}

// "5%", "0.05" and "1.05" are all a share of 0.05. A bare number that may be meant as percent is refused.
Outcome<double> parseThreshold(const std::string& text) {
    double value = 0;
    const char* const end = text.data() + text.size();
    const auto [after, bad] = std::from_chars(text.data(), end, value);
    const bool isPercent = after != end && *after == '%';
    if (bad == std::errc() && after + (isPercent ? 1 : 0) == end && std::isfinite(value) && value >= 0) {
        if (isPercent) return value / 100;
        if (value < 1) return value;
        if (value > 1 && value < 2) return value - 1;
        return wrongUse(fmt::format(
            "--threshold: '{0}' could be {0} % or {0} times as long; write {0}% or a ratio like 1.05", text));
    }
    return wrongUse(fmt::format("--threshold: '{}' is no share like 5%, 0.05 or 1.05", text));
}

Outcome<Invocation> finish(const CLI::App& app, Parsed& parsed, const cli::Environment& environment) {
    const std::string& name = app.get_subcommands().front()->get_name();
    if (name == "model") {
        DUNLIN_CLI_TRY(finishModel(parsed.model, parsed, environment));
        return Invocation(parsed.model);
    }
    if (name == "kernels") {
        DUNLIN_CLI_TRY(finishMeasure(parsed.kernels.measure, parsed, environment));
        DUNLIN_CLI_TRY(finishLayers(parsed.kernels.layers, parsed));
        return Invocation(parsed.kernels);
    }
    if (name == "shader") {
        DUNLIN_CLI_TRY(finishShader(parsed.shader, parsed, environment));
        return Invocation(parsed.shader);
    }
    if (name == "report") {
        if (parsed.report.markdown == !parsed.report.output.empty()) {
            return wrongUse(parsed.report.markdown ? "--markdown writes to stdout and takes no -o"
                                                   : "-o REPORT.html is missing");
        }
        return Invocation(parsed.report);
    }
    if (name == kStartHelp.name) {
        DUNLIN_CLI_TRY(finishStart(parsed.start, parsed));
        return Invocation(parsed.start);
    }
    if (!parsed.threshold.empty()) {
        DUNLIN_CLI_ASSIGN(parsed.compare.threshold, parseThreshold(parsed.threshold));
    }
    return Invocation(parsed.compare);
}

}  // namespace

Outcome<Invocation> parseCommandLine(std::span<const std::string> words, const cli::Environment& environment) {
    CLI::App app{kBenchHelp.summary, "dunlin bench"};
    Parsed parsed;
    app.set_help_flag("-h,--help", "this text; after a command, that command's options");
    app.footer(kBenchHelp.examples);
    addModelCommand(app, parsed);
    addKernelsCommand(app, parsed);
    addShaderCommand(app, parsed);
    addReportCommand(app, parsed);
    addCompareCommand(app, parsed);
    addStartCommand(app, parsed);
    DUNLIN_CLI_TRY(cli::checkCommandName(app, words, "dunlin bench"));
    DUNLIN_CLI_TRY(cli::checkWords(app, words));
    try {
        app.parse(std::vector<std::string>(words.rbegin(), words.rend()));
        if (app.get_subcommands().empty()) return wrongUse("bench needs a command; `dunlin bench --help` lists them");
        return finish(app, parsed, environment);
    } catch (const CLI::CallForHelp&) {
        return Invocation(cli::PrintText{app.help()});
    } catch (const CLI::Error& wrong) {
        std::string message = wrong.what();
        std::replace(message.begin(), message.end(), '\n', ' ');
        return wrongUse(std::move(message));
    }
}

Outcome<ExitStatus> execute(const Invocation& invocation) {
    struct Execute {
        Outcome<ExitStatus> operator()(const cli::PrintText& print) const {
            cli::writeOut(print.text);
            return ExitStatus::Done;
        }
        Outcome<ExitStatus> operator()(const ModelBenchOptions& options) const { return model(options); }
        Outcome<ExitStatus> operator()(const KernelBenchOptions& options) const { return kernels(options); }
        Outcome<ExitStatus> operator()(const ShaderBenchOptions& options) const { return shader(options); }
        Outcome<ExitStatus> operator()(const ReportOptions& options) const { return report(options); }
        Outcome<ExitStatus> operator()(const CompareOptions& options) const { return compare(options); }
        Outcome<ExitStatus> operator()(const StartOptions& options) const { return start(options); }
    };
    return std::visit(Execute(), invocation);
}

}  // namespace dunlin::bench
