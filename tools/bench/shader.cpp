// dunlin bench shader: a shader of the user's own in the place of one of the library's kernels.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <set>
#include <thread>
#include <utility>

#include "runtime/plan/kernels.h"
#include "tools/bench/interruption.h"
#include "tools/bench/kernel_bench.h"
#include "tools/bench/kernel_text.h"
#include "tools/bench/shader_choice.h"
#include "tools/bench/shader_compiler.h"
#include "tools/bench/shader_interface.h"
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

// What the driver says of the user's shader, beside the fastest of the library's. Empty where it says nothing.
std::string statisticsText(const std::vector<Json>& rows) {
    const Json *user = nullptr, *best = nullptr;
    for (const Json& row : rows) {
        if (row["isUser"] == true) user = &row;
        if (row["isBest"] == true) best = &row;
    }
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
        MeasureOptions measure = options_.measure;
        if (measure.timeoutSeconds == 0) measure.timeoutSeconds = kDefaultTimeoutSeconds;
        DUNLIN_CLI_ASSIGN(std::vector<Target> targets, openTargets(measure, true));
        for (Target& target : targets) {
            Place place;
            DUNLIN_CLI_ASSIGN(place.choices, chooseShaderPlaces(options_, target));
            DUNLIN_CLI_ASSIGN(place.pipelines, cli::outcomeOf(vulkan::Pipelines::create(*target.device)));
            place.target = std::move(target);
            places_.push_back(std::move(place));
        }
        return {};
    }

    // Compiles, verifies and times once, everywhere.
    Outcome<ExitStatus> measure() {
        document_ = newDocument("shader");
        if (options_.measure.validation) {
            document_["notices"].push_back("everything ran under the validation layer: times mean nothing");
        }
        std::vector<std::vector<CompiledShader>> compiled;
        if (!compileAll(compiled)) return ExitStatus::BadInput;
        for (size_t i = 0; i < places_.size(); ++i) {
            Place& place = places_[i];
            document_["devices"].push_back(identityOf(place.target));
            if (options_.measure.ceilings) DUNLIN_CLI_TRY(measureCeilingsOnce(place));
            for (size_t j = 0; j < place.choices.size(); ++j) {
                const cli::Check failure = measureChoice(place, place.choices[j], compiled[i][j].code);
                if (!failure) continue;
                if (!options_.watch) return *failure;
                cli::printError(failure->message);
                return failure->status;
            }
        }
        return finish();
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
        const auto named = [&](const Status& status) {
            const Failure failure = cli::failureOf(status.withContext(options_.file));
            const bool isTheShader =
                status.code() == StatusCode::InvalidArgument || status.code() == StatusCode::Unsupported;
            return Failure{isTheShader ? ExitStatus::BadInput : failure.status, failure.message};
        };
        const Result<ShaderInterface> interface = readInterface(code);
        if (!interface.ok()) return named(interface.status());
        const Status fits = checkInterface(*interface, variant, *place.target.device);
        if (!fits.ok()) return named(fits);
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
            cli::printOut("{}{}", textOf(result.rows), statisticsText(result.rows));
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
        constexpr int kInterrupted = 130;  // as shells have it: 128 and SIGINT's number
        if (InterruptionGuard::requested() && !options_.watch) endProcess(kInterrupted);
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
            const std::vector<vulkan::ValidationMessage> messages = place.target.device->validationMessages();
            const size_t seen = std::exchange(place.messagesSeen, messages.size());
            if (messages.size() == seen) continue;
            const Failure said = {ExitStatus::DeviceFailed,
                                  fmt::format("{}: the validation layer said {} things, first: {}: {}", place.target.id,
                                              messages.size() - seen, messages[seen].id, messages[seen].text)};
            if (!options_.watch) return said;
            cli::printError(said.message);
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
