// dunlin classify: the likeliest classes of pictures.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>
#include <thread>

#include "tools/dunlin/commands.h"
#include "tools/dunlin/files.h"
#include "tools/dunlin/labels.h"
#include "tools/dunlin/library.h"
#include "tools/dunlin/output.h"
#include "tools/dunlin/picture_reader.h"
#include "tools/dunlin/reference_run.h"

namespace dunlin::cli {
namespace {

using Json = nlohmann::ordered_json;
using Clock = std::chrono::steady_clock;

constexpr size_t kMaxDecodingThreads = 4;
constexpr size_t kBarWidth = 24;

// One picture's answer, or why there is none.
struct Answer {
    std::string file;
    Outcome<std::vector<Prediction>> top;
};

// A name for every class that has one.
class ClassNames {
  public:
    ClassNames(const Model& model, std::vector<std::string> labels) : model_(model), labels_(std::move(labels)) {}

    const char* find(uint32_t classIndex) const {
        if (labels_.empty()) return model_.label(classIndex);
        return classIndex < labels_.size() ? labels_[classIndex].c_str() : nullptr;
    }

  private:
    const Model& model_;
    std::vector<std::string> labels_;
};

// Prints answers as they come, or collects them for the JSON document.
class Report {
  public:
    Report(const OpenedDevice& device, const OpenedModel& model, const OpenedSession& session, const ClassNames& names,
           bool json)
        : device_(device), model_(model), session_(session), names_(names), json_(json), utf8_(localeIsUtf8()) {
        document_["model"] = model.info.architecture;
        document_["weights"] = model.info.weights;
        document_["device"] = device.info.id;
        document_["precision"] = precisionName(session.info.precision);
        document_["images"] = Json::array();
    }

    void add(const Answer& answer) {
        if (!answer.top.ok()) printError(answer.top.failure().message);
        if (json_) {
            document_["images"].push_back(jsonOf(answer));
        } else if (answer.top.ok()) {
            printText(answer.file, *answer.top);
        }
    }

    void finish(size_t pictures, double seconds) {
        if (json_) {
            printJson(document_);
        } else if (pictures > 0) {
            printOut("{} picture{}, {} each\n", pictures, pictures == 1 ? "" : "s",
                     formatMilliseconds(seconds * 1e3 / static_cast<double>(pictures)));
        }
    }

  private:
    Json jsonOf(const Answer& answer) const {
        Json image = {{"file", answer.file}};
        if (!answer.top.ok()) {
            image["error"] = answer.top.failure().message;
            return image;
        }
        image["top"] = Json::array();
        for (const Prediction& prediction : *answer.top) {
            const char* label = names_.find(prediction.classIndex);
            image["top"].push_back({{"index", prediction.classIndex},
                                    {"label", label ? Json(label) : Json()},
                                    {"probability", prediction.probability}});
        }
        return image;
    }

    void printText(const std::string& file, const std::vector<Prediction>& top) {
        if (!headingPrinted_) printHeading();
        Table table(
            {{"", Table::Align::Right}, {"", Table::Align::Left}, {"", Table::Align::Right}, {"", Table::Align::Left}});
        for (const Prediction& prediction : top) {
            const char* label = names_.find(prediction.classIndex);
            table.addRow({std::to_string(prediction.classIndex), label ? label : "(no label)",
                          fmt::format("{:.1f} %", prediction.probability * 100),
                          formatBar(prediction.probability, kBarWidth, utf8_)});
        }
        printOut("{}\n{}\n", withoutControls(file), table.text(2));
        std::fflush(stdout);
    }

    void printHeading() {
        headingPrinted_ = true;
        printOut("{} ({}) on {} ({}), {}, {}x{}\n\n", model_.info.architecture, withoutControls(model_.info.weights),
                 device_.info.id, device_.info.name, precisionName(session_.info.precision), session_.info.height,
                 session_.info.width);
    }

    const OpenedDevice& device_;
    const OpenedModel& model_;
    const OpenedSession& session_;
    const ClassNames& names_;
    const bool json_, utf8_;
    bool headingPrinted_ = false;
    Json document_;
};

// Runs one batch. Pictures that could not be read take part as copies of one that could; their answers are not used.
class Batch {
  public:
    explicit Batch(Session& session) : session_(session) {}

    void add(std::string file, Outcome<Picture> picture) {
        files_.push_back(std::move(file));
        pictures_.push_back(std::move(picture));
    }
    size_t size() const { return files_.size(); }

    // The answers, in order; empties the batch. `seconds` receives the time of the run.
    Outcome<std::vector<Answer>> run(uint32_t batchSize, double& seconds) {
        std::vector<DunlinPicture> views;
        for (const Outcome<Picture>& picture : pictures_) {
            if (picture.ok()) views.push_back(viewOf(*picture));
        }
        std::optional<Outputs> outputs;
        seconds = 0;
        if (!views.empty()) {
            views.resize(batchSize, views.front());
            const Clock::time_point start = Clock::now();
            DUNLIN_CLI_ASSIGN(outputs, outcomeOf(session_.run(std::span<const DunlinPicture>(views))));
            seconds = std::chrono::duration<double>(Clock::now() - start).count();
        }
        std::vector<Answer> answers;
        uint32_t row = 0;
        for (size_t i = 0; i < files_.size(); ++i) {
            const bool read = pictures_[i].ok();
            answers.push_back({files_[i], read ? Outcome(outputs->top(row))
                                               : Outcome<std::vector<Prediction>>(pictures_[i].failure())});
            row += read ? 1 : 0;
        }
        files_.clear();
        pictures_.clear();
        return answers;
    }

  private:
    static DunlinPicture viewOf(const Picture& picture) {
        return {picture.pixels.data(), static_cast<uint32_t>(picture.width), static_cast<uint32_t>(picture.height), 0};
    }

    Session& session_;
    std::vector<std::string> files_;
    std::vector<Outcome<Picture>> pictures_;
};

struct Totals {
    size_t answered = 0;
    double seconds = 0;  // in the network
    ExitStatus status = ExitStatus::Done;
    Check stopped;  // why the rest has no answers
};

// How many threads decode pictures while the network runs. On the CPU those of the network take a whole processor each,
// also while they wait for one another, so only the others are used; where there are none, decoding waits for the run.
size_t decodingThreads(const DunlinDeviceInfo& device) {
    const size_t processors = std::max(1u, std::thread::hardware_concurrency());
    if (device.type != DUNLIN_DEVICE_TYPE_CPU) return std::clamp<size_t>(processors / 2, 1, kMaxDecodingThreads);
    return std::min<size_t>(processors - std::min<size_t>(processors, device.threads), kMaxDecodingThreads);
}

std::vector<std::string> readableOf(const std::vector<InputFile>& files) {
    std::vector<std::string> readable;
    for (const InputFile& file : files) {
        if (!file.failure) readable.push_back(file.path);
    }
    return readable;
}

Totals classifyAll(const std::vector<InputFile>& files, const DunlinDeviceInfo& device, OpenedSession& session,
                   Report& report, ProgressBar& progress) {
    const size_t batchSize = session.info.batch, threads = decodingThreads(device);
    PictureReader reader(readableOf(files), threads, 2 * batchSize + threads);
    Batch batch(session.session);
    Totals totals;
    for (size_t i = 0; i < files.size(); ++i) {
        batch.add(files[i].path, files[i].failure ? Outcome<Picture>(*files[i].failure) : reader.next());
        if (batch.size() < batchSize && i + 1 < files.size()) continue;
        double seconds = 0;
        const Outcome<std::vector<Answer>> answers = batch.run(session.info.batch, seconds);
        if (!answers.ok()) {
            totals.stopped = answers.failure();
            break;
        }
        totals.seconds += seconds;
        progress.update(static_cast<double>(i + 1) / static_cast<double>(files.size()));
        for (const Answer& answer : *answers) {
            report.add(answer);
            totals.answered += answer.top.ok() ? 1 : 0;
            if (!answer.top.ok()) totals.status = std::max(totals.status, answer.top.failure().status);
        }
    }
    return totals;
}

// Where the files do not say how pictures are prepared, what was assumed.
void printDoubts(const OpenedModel& model) {
    const std::string other = otherArchitectureOf(model.model.handle());
    if (!other.empty()) {
        printError(fmt::format("{} fits {} and {}, which take pictures differently; taken as {}; give --architecture",
                               model.info.weights, model.info.architecture, other, model.info.architecture));
    }
    const std::string publisher = otherPublisherOf(model.model.handle());
    if (!publisher.empty()) {
        printError(
            fmt::format("{} may be timm's or {}'s, which take pictures differently; taken as timm's; put a "
                        "config.json beside it",
                        model.info.weights, publisher));
    }
}

}  // namespace

Outcome<ExitStatus> classify(const ClassifyOptions& options) {
    const std::vector<InputFile> files = expandFiles(options.images);
    DUNLIN_CLI_ASSIGN(const OpenedModel model, openModel(options.model, options.common.cacheDirectory));
    if (!options.common.quiet) printDoubts(model);
    std::vector<std::string> labels;
    if (!options.labels.empty()) {
        DUNLIN_CLI_ASSIGN(labels, readLabels(options.labels, model.info.classes, model.info.labelOffset));
    }
    DUNLIN_CLI_ASSIGN(const OpenedDevice device, openDevice(options.common));

    SessionOptions sessionOptions;
    sessionOptions.batch = static_cast<uint32_t>(std::clamp<size_t>(readableOf(files).size(), 1, options.batch));
    sessionOptions.height = options.size.height;
    sessionOptions.width = options.size.width;
    sessionOptions.topK = options.top;
    sessionOptions.inputKinds = DUNLIN_INPUT_PICTURES;
    DUNLIN_CLI_ASSIGN(OpenedSession session, openSession(device, model, options.common, sessionOptions));

    const ClassNames names(model.model, std::move(labels));
    Report report(device, model, session, names, options.common.json);
    // Answers that scroll by on the terminal are progress enough.
    ProgressBar progress("classifying", !options.common.quiet && (options.common.json || !stdoutIsTerminal()));
    const Totals totals = classifyAll(files, device.info, session, report, progress);
    progress.clear();
    report.finish(totals.answered, totals.seconds);
    DUNLIN_CLI_TRY(totals.stopped);
    DUNLIN_CLI_TRY(device.messages->check());
    return totals.status;
}

}  // namespace dunlin::cli
