#include "tools/dunlin/command_line.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <new>
#include <optional>

#include "tools/bench/command_line.h"
#include "tools/bench/help.h"
#include "tools/dunlin/help.h"
#include "tools/dunlin/option_parsing.h"
#include "tools/dunlin/output.h"

namespace dunlin::cli {
namespace {

// The library's own limits say the rest.
constexpr uint32_t kMaxThreads = 256, kMaxBatch = DUNLIN_MAX_BATCH, kMaxTop = 100000, kMaxWorst = 100000,
                   kMaxPictures = 1000000000;
constexpr double kMaxTuneSeconds = 86400;

// What CLI11 writes into: the options of every command, and the texts that become values after parsing.
struct Parsed {
    DevicesOptions devices;
    ModelsOptions models;
    PullOptions pull;
    ClassifyOptions classify;
    EvaluateOptions evaluate;
    RunOptions run;
    VerifyOptions verify;
    InspectOptions inspect;
    std::string precision = "auto", cache, size, fusion = "default";
    std::vector<std::string> taps;
    bool version = false;
};

void addCommonOptions(CLI::App& command, CommonOptions& common, Parsed& parsed) {
    command
        .add_option(
            "--device", common.device,
            "cpu, vulkan (the best Vulkan device) or vulkan:N (see `dunlin devices`); default: a real GPU, else "
            "the CPU")
        ->type_name("DEVICE");
    command.add_option("--precision", parsed.precision, "auto, fp32 or fp16; auto is fp16 on a real GPU that has it")
        ->check(CLI::IsMember({"auto", "fp32", "fp16"}))
        ->type_name("PRECISION");
    command.add_option("--threads", common.threads, "threads of the CPU; 0: as many as there are")
        ->check(wholeNumber(0, kMaxThreads))
        ->type_name("N");
    command
        .add_option("--cache", parsed.cache,
                    "folder for compiled pipelines and tuned kernels, or none; default: the user's cache folder")
        ->type_name("DIR");
    command
        .add_option("--tune", common.tuneSeconds,
                    "spend up to so many seconds on finding the fastest verified kernels for a Vulkan device; kept in "
                    "the cache, which later commands use")
        ->check(seconds(kMaxTuneSeconds))
        ->type_name("SECONDS");
    command.add_flag("--validation", common.validation, "run under the Khronos validation layer (slow)");
    command.add_flag("--quiet", common.quiet, "no notices and no progress bar on stderr");
    command.add_flag("--json", common.json, "one JSON document on stdout");
}

void addModel(CLI::App& command, ModelChoice& model) {
    command
        .add_option("MODEL", model.name,
                    "a shipped or pulled model, an architecture (see `dunlin models`), a weights file (.safetensors, "
                    ".pth), or a folder with config.json and model.safetensors")
        ->required()
        ->type_name("");
    command
        .add_option("--weights", model.weights,
                    "weights for an architecture: a file, or synthetic for weights computed by a formula")
        ->type_name("FILE");
    command
        .add_option("--architecture", model.architecture, "architecture of a weights file that shall not be guessed")
        ->type_name("NAME");
}

void addSize(CLI::App& command, Parsed& parsed) {
    command
        .add_option("--size", parsed.size,
                    "height and width of the network's input in pixels; default: the model's own")
        ->type_name("HxW");
}

void addBatch(CLI::App& command, uint32_t& batch) {
    command.add_option("--batch", batch, "images that go through the network together")
        ->check(wholeNumber(1, kMaxBatch))
        ->type_name("N");
}

void addClassify(CLI::App& app, Parsed& parsed) {
    CLI::App& command = addCommand(app, kClassifyHelp);
    addModel(command, parsed.classify.model);
    command.add_option("IMAGE", parsed.classify.images, "pictures, folders of pictures, and patterns")
        ->required()
        ->type_name("");
    command
        .add_option("--top", parsed.classify.top, "how many classes to give, likeliest first; more than there are: all")
        ->check(wholeNumber(1, kMaxTop))
        ->type_name("K");
    command.add_option("--labels", parsed.classify.labels, "names of the classes, one a line")->type_name("FILE");
    command.add_flag("--show", parsed.classify.show,
                     "draw each picture on the terminal beside its classes; with --top 1, a sheet of all pictures");
    addBatch(command, parsed.classify.batch);
    addSize(command, parsed);
    addCommonOptions(command, parsed.classify.common, parsed);
}

void addEvaluate(CLI::App& app, Parsed& parsed) {
    CLI::App& command = addCommand(app, kEvaluateHelp);
    addModel(command, parsed.evaluate.model);
    command
        .add_option("FOLDER", parsed.evaluate.folder, "one subfolder of pictures a class, or the pictures of a list")
        ->required()
        ->type_name("");
    command
        .add_option("--labels", parsed.evaluate.labels,
                    "names of the classes, one a line, or a list of lines picture,class; twice for both")
        ->allow_extra_args(false)
        ->type_name("FILE");
    command
        .add_option("--limit", parsed.evaluate.limit,
                    "at most so many pictures, the first of each class, spread evenly over the classes")
        ->check(wholeNumber(1, kMaxPictures))
        ->type_name("N");
    command.add_option("--worst", parsed.evaluate.worst, "how many of the least accurate classes to show; default: 5")
        ->check(wholeNumber(0, kMaxWorst))
        ->type_name("N");
    command
        .add_option("--batch", parsed.evaluate.batch,
                    "images that go through the network together; default: more of them the smaller they are")
        ->check(wholeNumber(1, kMaxBatch))
        ->type_name("N");
    addSize(command, parsed);
    addCommonOptions(command, parsed.evaluate.common, parsed);
}

void addRun(CLI::App& app, Parsed& parsed) {
    CLI::App& command = addCommand(app, kRunHelp);
    addModel(command, parsed.run.model);
    command.add_option("--input", parsed.run.input, "the network's input, [N, 3, H, W], normalised")
        ->required()
        ->type_name("X.npy");
    command.add_option("--output", parsed.run.output, "where to write the logits, [N, classes]")->type_name("Y.npy");
    command
        .add_option("--tap", parsed.taps, "writes a value inside the network, [N, C, H, W]; may be given several times")
        ->allow_extra_args(false)
        ->type_name("NAME=FILE.npy");
    addCommonOptions(command, parsed.run.common, parsed);
}

void addFusion(CLI::App& command, Parsed& parsed) {
    command
        .add_option("--fusion", parsed.fusion,
                    "default, or max: whole blocks in one dispatch, the fewest dispatches but not always the fastest")
        ->check(CLI::IsMember({"default", "max"}))
        ->type_name("PLAN");
}

void addVerify(CLI::App& app, Parsed& parsed) {
    CLI::App& command = addCommand(app, kVerifyHelp);
    command.add_option("REFERENCE", parsed.verify.references, "reference files (.json)")->required()->type_name("");
    addFusion(command, parsed);
    addCommonOptions(command, parsed.verify.common, parsed);
}

void addInspect(CLI::App& app, Parsed& parsed) {
    CLI::App& command = addCommand(app, kInspectHelp);
    addModel(command, parsed.inspect.model);
    command.add_flag("--graph", parsed.inspect.graph, "every op with its shape, and the names for --tap");
    command.add_flag("--program", parsed.inspect.program, "every dispatch");
    command.add_flag("--plan", parsed.inspect.plan, "where every tensor lies, and every barrier");
    addSize(command, parsed);
    addBatch(command, parsed.inspect.batch);
    addFusion(command, parsed);
    addCommonOptions(command, parsed.inspect.common, parsed);
}

void addPull(CLI::App& app, Parsed& parsed) {
    CLI::App& command = addCommand(app, kPullHelp);
    command
        .add_option("MODEL", parsed.pull.model,
                    "a name from --list, the address of a weights file, or hf:OWNER/REPOSITORY")
        ->type_name("");
    command.add_flag("--list", parsed.pull.list, "the names that are known, with licence, size and address");
    command.add_option("--sha256", parsed.pull.sha256, "hash of the weights file; needed where the name is not known")
        ->type_name("HEX");
    command.add_option("--as", parsed.pull.as, "name to keep the model under; default: its own")->type_name("NAME");
    command.add_flag("--force", parsed.pull.force, "download again what is here already");
    command.add_option("--cache", parsed.cache, "folder to keep models in; default: the user's cache folder")
        ->type_name("DIR");
    command.add_flag("--quiet", parsed.pull.quiet, "no notices and no progress bar on stderr");
    command.add_flag("--json", parsed.pull.json, "one JSON document on stdout");
}

void addCommands(CLI::App& app, Parsed& parsed) {
    app.set_help_flag("-h,--help", "this text; after a command, that command's options");
    app.add_flag("--version", parsed.version, "the version");
    app.require_subcommand(0, 1);
    app.footer(kExamples);
    addClassify(app, parsed);
    addEvaluate(app, parsed);
    addRun(app, parsed);
    addVerify(app, parsed);
    addInspect(app, parsed);
    addPull(app, parsed);
    addCommand(app, bench::kBenchHelp);  // has commands of its own, and never comes here but to be listed
    addCommand(app, kDevicesHelp).add_flag("--json", parsed.devices.json, "one JSON document on stdout");
    addCommand(app, kModelsHelp).add_flag("--json", parsed.models.json, "one JSON document on stdout");
}

std::string cacheDirectoryOf(const Parsed& parsed, const Environment& environment) {
    return parsed.cache.empty()     ? defaultCacheDirectory(environment)
           : parsed.cache == "none" ? std::string()
                                    : parsed.cache;
}

Check finishCommon(CommonOptions& common, const Parsed& parsed, const Environment& environment) {
    DUNLIN_CLI_TRY(checkDevice(common.device));
    common.precision = parsed.precision == "fp32"   ? DUNLIN_PRECISION_FP32
                       : parsed.precision == "fp16" ? DUNLIN_PRECISION_FP16
                                                    : DUNLIN_PRECISION_AUTO;
    common.cacheDirectory = cacheDirectoryOf(parsed, environment);
    return {};
}

Check finishPull(PullOptions& pull, const Parsed& parsed, const Environment& environment) {
    pull.cacheDirectory = cacheDirectoryOf(parsed, environment);
    if (pull.list && !pull.model.empty()) return wrongUse("--list lists all names and takes none");
    if (!pull.list && pull.model.empty()) return wrongUse("MODEL is missing; `dunlin pull --list` lists those known");
    std::transform(pull.sha256.begin(), pull.sha256.end(), pull.sha256.begin(),
                   [](char c) { return c >= 'A' && c <= 'F' ? static_cast<char>(c - 'A' + 'a') : c; });
    constexpr size_t kHashDigits = 64;
    const bool isHash =
        pull.sha256.size() == kHashDigits && pull.sha256.find_first_not_of("0123456789abcdef") == std::string::npos;
    if (pull.sha256.empty() || isHash) return {};
    return wrongUse(fmt::format("--sha256: '{}' is not {} hexadecimal digits", pull.sha256, kHashDigits));
}

Check finishSize(InputSize& size, const Parsed& parsed, bool given) {
    if (!given) return {};
    const Outcome<InputSize> read = parseSize(parsed.size);
    if (!read.ok()) return read.failure();
    size = *read;
    return {};
}

Outcome<std::vector<RunOptions::Tap>> parseTaps(const std::vector<std::string>& texts) {
    std::vector<RunOptions::Tap> taps;
    for (const std::string& text : texts) {
        const size_t equals = text.find('=');
        if (equals == std::string::npos || equals == 0 || equals + 1 == text.size()) {
            return wrongUse(fmt::format("--tap: '{}' is not NAME=FILE.npy", text));
        }
        taps.push_back({text.substr(0, equals), text.substr(equals + 1)});
    }
    return taps;
}

// Two results in one file would leave only one of them.
Check checkRunFiles(const RunOptions& run) {
    std::vector<std::string> files;
    if (!run.output.empty()) files.push_back(run.output);
    for (const RunOptions::Tap& tap : run.taps) files.push_back(tap.file);
    std::sort(files.begin(), files.end());
    const auto twice = std::adjacent_find(files.begin(), files.end());
    if (twice == files.end()) return {};
    return wrongUse(fmt::format("{} would be written twice", *twice));
}

Outcome<Invocation> finish(const CLI::App& app, Parsed& parsed, const Environment& environment) {
    if (parsed.version) {
        return Invocation(PrintText{
            fmt::format("dunlin {}.{}.{}\n", DUNLIN_VERSION_MAJOR, DUNLIN_VERSION_MINOR, DUNLIN_VERSION_PATCH)});
    }
    if (app.get_subcommands().empty()) return wrongUse("no command is given; `dunlin --help` lists them");
    const CLI::App& command = *app.get_subcommands().front();
    const auto given = [&](const char* option) { return command.get_option_no_throw(option)->count() > 0; };
    const std::string& name = command.get_name();
    if (name == "devices") return Invocation(parsed.devices);
    if (name == "models") return Invocation(parsed.models);
    if (name == "pull") {
        DUNLIN_CLI_TRY(finishPull(parsed.pull, parsed, environment));
        return Invocation(parsed.pull);
    }
    const DunlinFusion fusion = parsed.fusion == "max" ? DUNLIN_FUSION_MAX : DUNLIN_FUSION_DEFAULT;
    if (name == "verify") {
        DUNLIN_CLI_TRY(finishCommon(parsed.verify.common, parsed, environment));
        parsed.verify.fusion = fusion;
        return Invocation(parsed.verify);
    }
    if (name == "classify") {
        DUNLIN_CLI_TRY(finishCommon(parsed.classify.common, parsed, environment));
        DUNLIN_CLI_TRY(finishSize(parsed.classify.size, parsed, given("--size")));
        if (parsed.classify.show && parsed.classify.common.json) {
            return wrongUse("--show draws for people and --json is for programs; give one of them");
        }
        return Invocation(parsed.classify);
    }
    if (name == "evaluate") {
        DUNLIN_CLI_TRY(finishCommon(parsed.evaluate.common, parsed, environment));
        DUNLIN_CLI_TRY(finishSize(parsed.evaluate.size, parsed, given("--size")));
        return Invocation(parsed.evaluate);
    }
    if (name == "run") {
        DUNLIN_CLI_TRY(finishCommon(parsed.run.common, parsed, environment));
        DUNLIN_CLI_ASSIGN(parsed.run.taps, parseTaps(parsed.taps));
        DUNLIN_CLI_TRY(checkRunFiles(parsed.run));
        return Invocation(parsed.run);
    }
    DUNLIN_CLI_TRY(finishCommon(parsed.inspect.common, parsed, environment));
    DUNLIN_CLI_TRY(finishSize(parsed.inspect.size, parsed, given("--size")));
    parsed.inspect.fusion = fusion;
    return Invocation(parsed.inspect);
}

Outcome<ExitStatus> execute(const Invocation& invocation) {
    struct Execute {
        Outcome<ExitStatus> operator()(const PrintText& print) const {
            printOut("{}", print.text);
            return ExitStatus::Done;
        }
        Outcome<ExitStatus> operator()(const DevicesOptions& options) const { return devices(options); }
        Outcome<ExitStatus> operator()(const ModelsOptions& options) const { return models(options); }
        Outcome<ExitStatus> operator()(const PullOptions& options) const { return pull(options); }
        Outcome<ExitStatus> operator()(const ClassifyOptions& options) const { return classify(options); }
        Outcome<ExitStatus> operator()(const EvaluateOptions& options) const { return evaluate(options); }
        Outcome<ExitStatus> operator()(const RunOptions& options) const { return run(options); }
        Outcome<ExitStatus> operator()(const VerifyOptions& options) const { return verify(options); }
        Outcome<ExitStatus> operator()(const InspectOptions& options) const { return inspect(options); }
    };
    return std::visit(Execute(), invocation);
}

Outcome<ExitStatus> parseAndExecute(std::span<const std::string> words) {
    const auto environment = [](const char* name) -> const char* { return std::getenv(name); };
    ExitStatus status = ExitStatus::Done;
    if (!words.empty() && words[0] == bench::kBenchHelp.name) {
        DUNLIN_CLI_ASSIGN(const bench::Invocation invocation, bench::parseCommandLine(words.subspan(1), environment));
        DUNLIN_CLI_ASSIGN(status, bench::execute(invocation));
    } else {
        DUNLIN_CLI_ASSIGN(const Invocation invocation, parseCommandLine(words, environment));
        DUNLIN_CLI_ASSIGN(status, execute(invocation));
    }
    if (std::fflush(stdout) != 0 || std::ferror(stdout)) {
        return Failure{ExitStatus::BadInput, "the result could not be written to stdout"};
    }
    return status;
}

}  // namespace

std::string defaultCacheDirectory(const Environment& environment) {
    const auto under = [&](const char* variable, const char* folder) -> std::optional<std::string> {
        const char* base = environment(variable);
        if (base == nullptr || *base == '\0') return {};
        return std::string(base) + folder;
    };
    for (const auto& [variable, folder] : {
#if defined(_WIN32)
             std::pair{"LOCALAPPDATA", "\\dunlin\\cache"},
#elif defined(__APPLE__)
             std::pair{"HOME", "/Library/Caches/dunlin"},
#else
             std::pair{"XDG_CACHE_HOME", "/dunlin"},
             std::pair{"HOME", "/.cache/dunlin"},
#endif
         }) {
        if (std::optional<std::string> directory = under(variable, folder)) return *directory;
    }
    return {};
}

Outcome<Invocation> parseCommandLine(std::span<const std::string> words, const Environment& environment) {
    CLI::App app{kSummary, "dunlin"};
    Parsed parsed;
    addCommands(app, parsed);
    DUNLIN_CLI_TRY(checkCommandName(app, words, "dunlin"));
    DUNLIN_CLI_TRY(checkWords(app, words));
    try {
        app.parse(std::vector<std::string>(words.rbegin(), words.rend()));  // CLI11 takes words from the back
        return finish(app, parsed, environment);
    } catch (const CLI::CallForHelp&) {
        return Invocation(PrintText{app.help()});
    } catch (const CLI::Error& wrong) {
        std::string message = wrong.what();
        std::replace(message.begin(), message.end(), '\n', ' ');
        return wrongUse(std::move(message));
    }
}

int runCommandLine(std::span<const std::string> words) {
    Outcome<ExitStatus> outcome = Failure{};
    try {
        outcome = parseAndExecute(words);
    } catch (const std::bad_alloc&) {
        outcome = Failure{ExitStatus::DeviceFailed, "out of memory"};
    } catch (const std::exception& unexpected) {
        outcome = Failure{ExitStatus::DeviceFailed, fmt::format("unexpected: {}", unexpected.what())};
    }
    if (outcome.ok()) return static_cast<int>(*outcome);
    printError(outcome.failure().message);
    return static_cast<int>(outcome.failure().status);
}

}  // namespace dunlin::cli
