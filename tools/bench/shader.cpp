// dunlin bench shader: a shader of the user's own in the place of one of the library's kernels.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <set>
#include <thread>
#include <utility>

#include "runtime/plan/kernels.h"
#include "tools/bench/crash_guard.h"
#include "tools/bench/interruption.h"
#include "tools/bench/kernel_bench.h"
#include "tools/bench/kernel_text.h"
#include "tools/bench/shader_choice.h"
#include "tools/bench/shader_compiler.h"
#include "tools/bench/shader_interface.h"
#include "tools/dunlin/files.h"
#include "tools/dunlin/internals.h"
#include "tools/dunlin/output.h"

namespace dunlin::bench {
namespace {

namespace fs = std::filesystem;
using cli::Failure;

// A device with what stays the same while the shader changes.
struct Place {
    Target target;
    std::unique_ptr<vulkan::Pipelines> pipelines;
    std::vector<ShaderChoice> choices;
    std::optional<Ceilings> ceilings;
    size_t messagesSeen = 0;  // of the validation layer
};

// When files were last written; nothing for those that are not there.
using FileTimes = std::map<fs::path, std::optional<fs::file_time_type>>;
FileTimes timesOf(const std::set<fs::path>& files) {
    FileTimes times;
    for (const fs::path& file : files) times[file] = timeOf(file);
    return times;
}

// The user's row, and that of the fastest of the library's; null where there is none.
std::pair<const Json*, const Json*> userAndBest(const std::vector<Json>& rows) {
    const Json *user = nullptr, *best = nullptr;
    for (const Json& row : rows) {
        if (row["isUser"] == true) user = &row;
        if (row["isBest"] == true) best = &row;
    }
    return {user, best};
}

// How the user's shader does beside the fastest of the library's. Empty where one of them was not timed.
std::string comparisonText(const std::vector<Json>& rows) {
    const auto [user, best] = userAndBest(rows);
    if (!user || !best || !(*user)["medianUs"].is_number() || (*user)["medianUs"] <= 0) return {};
    const double factor = (*best)["medianUs"].get<double>() / (*user)["medianUs"].get<double>();
    return fmt::format("\n{} is {:.2f} times as fast as the best built-in, {}{}\n",
                       cli::withoutControls((*user)["variant"].get<std::string>()), factor,
                       (*best)["variant"].get<std::string>(), factor > 1 ? ": the fastest of all" : "");
}

// What the driver says of the user's shader, beside the fastest of the library's. Empty where it says nothing.
std::string statisticsText(const std::vector<Json>& rows) {
    const auto [user, best] = userAndBest(rows);
    if (!user || (*user)["statistics"].empty()) return {};
    using Align = cli::Table::Align;
    cli::Table table({{"driver's statistics"},
                      {(*user)["variant"].get<std::string>(), Align::Right},
                      {best ? (*best)["variant"].get<std::string>() : "", Align::Right}});
    for (const auto& [name, value] : (*user)["statistics"].items()) {
        const bool isThere = best && (*best)["statistics"].contains(name);
        table.addRow({name, value.dump(), isThere ? (*best)["statistics"][name].dump() : ""});
    }
    return "\n" + table.text(2);
}

class ShaderRun {
  public:
    explicit ShaderRun(const ShaderBenchOptions& options) : options_(options) {}

    Outcome<ExitStatus> run() {
        DUNLIN_CLI_TRY(open());
        InterruptionGuard guard;
        while (true) {
            DUNLIN_CLI_ASSIGN(const ExitStatus status, measure());
            if (!options_.watch) return status;
            if (!awaitChange()) return ExitStatus::Done;
        }
    }

  private:
    cli::Check open() {
        if (!hasShaderCompiler()) {
            return Failure{ExitStatus::WrongUse,
                           "this dunlin was built without the glslang library, which compiles shaders"};
        }
        DUNLIN_CLI_TRY(checkOutput(options_.file));
        DUNLIN_CLI_TRY(checkWritable(options_.measure.output));
        MeasureOptions measure = options_.measure;
        if (measure.timeoutSeconds == 0) measure.timeoutSeconds = kDefaultTimeoutSeconds;
        DUNLIN_CLI_ASSIGN(std::vector<Target> targets, openTargets(measure, true, /* robust= */ true));
        for (Target& target : targets) {
            Place place;
            DUNLIN_CLI_ASSIGN(place.choices, chooseShaderPlaces(options_, target));
            DUNLIN_CLI_ASSIGN(place.pipelines, cli::outcomeOf(vulkan::Pipelines::create(*target.device)));
            place.target = std::move(target);
            places_.push_back(std::move(place));
        }
        return {};
    }

    // WrongUse where -o would replace a source.
    cli::Check checkOutput(const fs::path& source) const {
        const std::string& output = options_.measure.output;
        if (output.empty() || !cli::sameFile(output, source)) return {};
        return Failure{ExitStatus::WrongUse, fmt::format("-o {} would replace a source of the shader", output)};
    }

    // Compiles, verifies and times once, everywhere.
    Outcome<ExitStatus> measure() {
        document_ = newDocument("shader");
        if (options_.measure.validation) {
            document_["notices"].push_back(kUnderValidation);
        }
        std::vector<std::vector<CompiledShader>> compiled;
        const bool isCompiled = compileAll(compiled);
        for (const auto& [file, time] : fileTimes_) DUNLIN_CLI_TRY(checkOutput(file));
        if (!isCompiled) return ExitStatus::BadInput;
        if (const cli::Check failure = checkInterfaces(compiled)) return ended(*failure);
        for (size_t i = 0; i < places_.size(); ++i) {
            Place& place = places_[i];
            document_["devices"].push_back(identityOf(place.target));
            if (options_.measure.ceilings) DUNLIN_CLI_TRY(measureCeilingsOnce(place));
            for (size_t j = 0; j < place.choices.size(); ++j) {
                const cli::Check failure = measureChoice(place, place.choices[j], compiled[i][j].code);
                if (failure) return ended(*failure);
            }
        }
        return finish();
    }

    // While watching, a failure is only printed.
    Outcome<ExitStatus> ended(const Failure& failure) const {
        if (!options_.watch) return failure;
        cli::printError(failure.message);
        return failure.status;
    }

    Failure named(const Status& status) const {
        const Failure failure = cli::failureOf(status.withContext(options_.file));
        const bool isTheShader =
            status.code() == StatusCode::InvalidArgument || status.code() == StatusCode::Unsupported;
        return Failure{isTheShader ? ExitStatus::BadInput : failure.status, failure.message};
    }

    cli::Check checkInterfaces(const std::vector<std::vector<CompiledShader>>& compiled) const {
        for (size_t i = 0; i < places_.size(); ++i) {
            for (size_t j = 0; j < places_[i].choices.size(); ++j) {
                const Variant& variant = places_[i].choices[j].user.dispatch.variant;
                const Result<ShaderInterface> interface = readInterface(compiled[i][j].code, variant.constants);
                if (!interface.ok()) return named(interface.status());
                const Status fits = checkInterface(*interface, variant, *places_[i].target.device);
                if (!fits.ok()) return named(fits);
            }
        }
        return {};
    }

    // For each place and choice; false where one does not compile, and all errors are printed then, each once.
    bool compileAll(std::vector<std::vector<CompiledShader>>& compiled) {
        std::set<std::string> printed;
        fileTimes_.clear();
        for (const Place& place : places_) {
            compiled.emplace_back();
            for (const ShaderChoice& choice : place.choices) {
                compiled.back().push_back(compileShader(sourceOf(options_, choice)));
                const CompiledShader& shader = compiled.back().back();
                // Those of the first reading: what was saved since is compiled again.
                for (const CompiledShader::File& file : shader.files) fileTimes_.emplace(file.path, file.written);
                for (const std::string& error : shader.errors) {
                    if (printed.insert(error).second) printCompileError(error);
                }
            }
        }
        return printed.empty();
    }

    // As compilers do: where an editor looks for them.
    static void printCompileError(const std::string& error) {
        for (size_t begin = 0; begin <= error.size();) {
            const size_t end = std::min(error.find('\n', begin), error.size());
            fmt::print(stderr, "{}\n", cli::withoutControls(std::string_view(error).substr(begin, end - begin)));
            begin = end + 1;
        }
    }

    cli::Check measureCeilingsOnce(Place& place) {
        if (!place.ceilings) {
            Outcome<Ceilings> measured = measureCeilings(place.target);
            if (!measured.ok()) {
                if (measured.failure().status == ExitStatus::DeviceFailed) endAfter(measured.failure());
                return measured.failure();
            }
            place.ceilings = *std::move(measured);
            if (!options_.measure.json) cli::printOut("{}", headingOf(place.target, &*place.ceilings));
        }
        document_["ceilings"][place.target.id] = jsonOf(*place.ceilings);
        for (const std::string& notice : place.ceilings->notices) document_["notices"].push_back(notice);
        return {};
    }

    cli::Check measureChoice(Place& place, const ShaderChoice& choice, std::span<const uint32_t> code) {
        const Variant& variant = choice.user.dispatch.variant;
        const CrashGuard crashes(fmt::format("{}: the driver crashed in compiling or running the shader, which may "
                                             "write where it must not",
                                             cli::withoutControls(options_.file)),
                                 static_cast<int>(ExitStatus::DeviceFailed));
        const Result<vulkan::OwnedPipeline> pipeline = place.pipelines->createForeign(variant, code);
        if (!pipeline.ok()) return named(pipeline.status());
        DUNLIN_CLI_ASSIGN(const tuning::CaseData data, cli::outcomeOf(tuning::makeData(choice.problem)));

        std::vector<Contender> contenders;
        for (const tuning::FormedCase& form : choice.forms) contenders.push_back({form, nullptr, ""});
        // The last, so that the others were verified if it does not come back.
        contenders.push_back({choice.user, pipeline->get(), fs::path(options_.file).filename().string()});
        const double seconds = options_.measure.seconds > 0 ? options_.measure.seconds : kDefaultKernelSeconds;
        const Bench bench = {place.target, *place.pipelines, place.ceilings ? &*place.ceilings : nullptr, seconds};
        CaseResult result = measureCase(bench, choice.problem, data, std::move(contenders));
        std::rotate(result.rows.begin(), result.rows.end() - 1, result.rows.end());
        if (!options_.measure.json) {
            cli::printOut("{}{}{}", textOf(result.rows), statisticsText(result.rows), comparisonText(result.rows));
            std::fflush(stdout);
        }
        for (Json& row : result.rows) document_["results"].push_back(std::move(row));
        if (result.fatal) endAfter(*result.fatal);
        return {};
    }

    // The device may still be running what was submitted: nothing of it can be destroyed.
    [[noreturn]] void endAfter(const Failure& failure) {
        document_["complete"] = false;
        if (!options_.measure.output.empty()) {
            if (const cli::Check unwritten = writeDocument(document_, options_.measure.output)) {
                cli::printError(unwritten->message);
            }
        }
        if (options_.measure.json) cli::printJson(document_);
        cli::printError(failure.message);
        endProcess(static_cast<int>(failure.status));
    }

    Outcome<ExitStatus> finish() {
        document_["complete"] = !InterruptionGuard::requested();
        if (!options_.measure.output.empty()) DUNLIN_CLI_TRY(writeDocument(document_, options_.measure.output));
        if (options_.measure.json) cli::printJson(document_);
        if (InterruptionGuard::requested() && !options_.watch) endProcess(static_cast<int>(ExitStatus::Interrupted));
        DUNLIN_CLI_TRY(sayValidation());
        const Json& rows = document_["results"];
        const bool isRight = std::all_of(rows.begin(), rows.end(), [](const Json& row) {
            return row["isUser"] == false || (row["correct"] == true && row["deterministic"] == true);
        });
        return isRight ? ExitStatus::Done : ExitStatus::No;
    }

    // What the validation layer said since the last time; while watching it is only printed.
    cli::Check sayValidation() {
        for (Place& place : places_) {
            const cli::Check said = checkValidation(place.target, place.messagesSeen);
            if (!said) continue;
            place.messagesSeen = place.target.device->validationMessages().size();
            if (!options_.watch) return said;
            cli::printError(said->message);
        }
        return {};
    }

    // Of the shader or of what it included; false where the user interrupted it.
    bool awaitChange() const {
        std::fflush(stdout);
        if (!options_.measure.quiet && !InterruptionGuard::requested()) {
            cli::printError(fmt::format("watching {} and what it includes ({}); Ctrl-C ends", options_.file,
                                        fileTimes_.size() - 1));
        }
        std::set<fs::path> files;
        for (const auto& [file, time] : fileTimes_) files.insert(file);
        constexpr auto kInterval = std::chrono::milliseconds(200), kSettling = std::chrono::milliseconds(50);
        while (!InterruptionGuard::requested()) {
            if (timesOf(files) != fileTimes_) {
                std::this_thread::sleep_for(kSettling);  // editors write in pieces
                return true;
            }
            std::this_thread::sleep_for(kInterval);
        }
        return false;
    }

    const ShaderBenchOptions& options_;
    std::vector<Place> places_;
    FileTimes fileTimes_;  // of the shader and what it included, before they were read
    Json document_;
};

}  // namespace

Outcome<ExitStatus> shader(const ShaderBenchOptions& options) {
    return ShaderRun(options).run();
}

}  // namespace dunlin::bench
