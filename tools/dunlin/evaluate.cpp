// dunlin evaluate: accuracy over pictures whose class is known.
#include "tools/dunlin/evaluation.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>
#include <optional>

#include "tools/dunlin/commands.h"
#include "tools/dunlin/files.h"
#include "tools/dunlin/ground_truth.h"
#include "tools/dunlin/labels.h"
#include "tools/dunlin/library.h"
#include "tools/dunlin/output.h"
#include "tools/dunlin/picture_answers.h"

namespace dunlin::cli {
namespace {

using Json = nlohmann::ordered_json;

constexpr size_t kConfusionsShown = 3;

// Pixels of a batch where --batch does not say otherwise.
constexpr uint32_t kBatchPixels = 8 * 224 * 224;

// What --labels gave: the names of the classes, and the list that says which picture has which class.
struct LabelFiles {
    std::optional<Labels> names;
    std::string listPath, listText;  // empty path: no list
};

Outcome<LabelFiles> readLabelFiles(const std::vector<std::string>& paths, const DunlinModelInfo& model) {
    LabelFiles files;
    for (const std::string& path : paths) {
        DUNLIN_CLI_ASSIGN(const std::vector<std::byte> file, readFile(path, kMaxLabelsBytes));
        const std::string_view text(reinterpret_cast<const char*>(file.data()), file.size());
        const bool isList = isTruthList(path, text);
        if (isList ? !files.listPath.empty() : files.names.has_value()) {
            return Failure{ExitStatus::WrongUse, fmt::format("--labels: {} is a second {}", path,
                                                             isList ? "list of pictures"
                                                                    : "file of class names (a list of pictures has "
                                                                      "lines picture,class or a name in .csv)")};
        }
        if (isList) {
            files.listPath = path;
            files.listText = text;
        } else {
            DUNLIN_CLI_ASSIGN(files.names, labelsOf(text, path, model.classes, model.labelOffset));
        }
    }
    return files;
}

ClassCatalogue catalogueOf(const OpenedModel& model, std::optional<Labels> names) {
    ClassCatalogue catalogue{model.info.classes, model.info.labelOffset, {}, {}};
    if (names) {
        catalogue.labels = std::move(names->names);
        catalogue.wordNetIds = std::move(names->wordNetIds);
        return catalogue;
    }
    for (uint32_t i = 0; i < model.info.labelCount; ++i) {
        const char* label = model.model.label(i);
        catalogue.labels.emplace_back(label ? label : "");
    }
    return catalogue;
}

struct Unread {
    std::string file, error;
};

struct Result {
    Evaluation evaluation;
    std::vector<Unread> unread;
    double seconds = 0, networkSeconds = 0;
    ExitStatus status = ExitStatus::Done;

    double imagesPerSecond() const { return seconds > 0 ? static_cast<double>(evaluation.images()) / seconds : 0; }
};

Outcome<Result> evaluatePictures(const std::vector<LabelledPicture>& pictures, const OpenedDevice& device,
                                 OpenedSession& session, bool quiet) {
    std::vector<InputFile> files;
    for (const LabelledPicture& picture : pictures) files.push_back({picture.file, {}});
    Result result;
    ProgressBar progress("evaluating", !quiet);
    size_t next = 0;
    const auto count = [&](const Answer& answer) {
        const uint32_t truth = pictures[next++].classIndex;
        if (answer.top.ok()) {
            result.evaluation.add(truth, *answer.top);
            return;
        }
        progress.clear();
        printError(answer.top.failure().message);
        result.unread.push_back({answer.file, answer.top.failure().message});
    };
    const auto start = std::chrono::steady_clock::now();
    const AnswerTotals totals = answerPictures(files, device.info, session, progress, count);
    result.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    result.networkSeconds = totals.networkSeconds;
    result.status = totals.status;
    DUNLIN_CLI_TRY(totals.stopped);  // the share of a part would pass for that of the whole
    DUNLIN_CLI_TRY(device.messages->check());
    return result;
}

// Says what came out, for people or for programs.
class Report {
  public:
    Report(const OpenedDevice& device, const OpenedModel& model, const OpenedSession& session,
           const ClassCatalogue& catalogue, const GroundTruth& truth, const Result& result)
        : device_(device),
          model_(model),
          session_(session),
          catalogue_(catalogue),
          truth_(truth),
          result_(result),
          evaluation_(result.evaluation) {}

    void printText(size_t worst) const {
        printOut("{} ({}) on {} ({}), {}, {}x{}, batches of {}\n\n", model_.info.architecture,
                 withoutControls(model_.info.weights), device_.info.id, device_.info.name,
                 precisionName(session_.info.precision), session_.info.height, session_.info.width,
                 session_.info.batch);
        Table table({{""}, {"", Table::Align::Right}, {""}});
        if (evaluation_.images() > 0) {
            addShare(table, "top-1", evaluation_.top1());
            if (hasTop5()) {
                addShare(table, "top-5", evaluation_.top5());
            } else {
                table.addRow({"top-5", "-", fmt::format("says nothing with {} classes", catalogue_.realClasses())});
            }
        }
        table.addRow({"pictures", std::to_string(evaluation_.images()), coverage()});
        table.addRow({"speed",
                      fmt::format("{:.{}f}", result_.imagesPerSecond(), result_.imagesPerSecond() < 10 ? 2 : 1),
                      fmt::format("pictures a second, decoding included; the network took {:.0f} % of {:.1f} s",
                                  100 * networkShare(), result_.seconds)});
        printOut("{}", table.text(2));
        if (worst > 0 && evaluation_.images() > 0) printWorst(worst);
    }

    void printDocument() const {
        Json document;
        document["model"] = model_.info.architecture;
        document["weights"] = model_.info.weights;
        document["device"] = device_.info.id;
        document["precision"] = precisionName(session_.info.precision);
        document["batch"] = session_.info.batch;
        document["top1"] = share(evaluation_.top1());
        document["top5"] = hasTop5() ? share(evaluation_.top5()) : Json();
        document["top1Interval"] = interval(evaluation_.top1());
        document["top5Interval"] = hasTop5() ? interval(evaluation_.top5()) : Json();
        document["images"] = evaluation_.images();
        document["notFinite"] = evaluation_.notFinite();
        document["imagesPerSecond"] = result_.imagesPerSecond();
        document["seconds"] = result_.seconds;
        document["networkShare"] = networkShare();
        document["classesBy"] = namingText(truth_.naming);
        document["passedOver"] = truth_.passedOver;
        document["failed"] = Json::array();
        for (const Unread& unread : result_.unread) {
            document["failed"].push_back({{"file", unread.file}, {"error", unread.error}});
        }
        document["classes"] = Json::array();
        for (const uint32_t classIndex : truth_.classIndices) {
            const Evaluation::ClassCount count = evaluation_.classCount(classIndex);
            Json top1 = count.images > 0 ? Json(ratio(count.top1, count.images)) : Json();
            document["classes"].push_back({{"index", classIndex},
                                           {"label", label(classIndex)},
                                           {"images", count.images},
                                           {"top1", std::move(top1)}});
        }
        document["confusions"] = Json::array();
        for (const Evaluation::Confusion& confusion : evaluation_.confusions()) {
            document["confusions"].push_back(
                {{"true", confusion.truth}, {"predicted", confusion.predicted}, {"count", confusion.count}});
        }
        printJson(document);
    }

  private:
    static double ratio(uint64_t part, uint64_t whole) {
        return static_cast<double>(part) / static_cast<double>(whole);
    }

    // Five of five answers are always right. Background is an answer.
    bool hasTop5() const { return catalogue_.classes > Evaluation::kTop; }
    double networkShare() const {
        return result_.seconds > 0 ? std::min(1.0, result_.networkSeconds / result_.seconds) : 0;
    }
    Json share(uint64_t hits) const {
        return evaluation_.images() > 0 ? Json(ratio(hits, evaluation_.images())) : Json();
    }
    Json interval(uint64_t hits) const {
        if (evaluation_.images() == 0) return {};
        const Interval interval = wilsonInterval(hits, evaluation_.images());
        return {interval.low, interval.high};
    }
    Json label(uint32_t classIndex) const {
        return classIndex < catalogue_.labels.size() ? Json(catalogue_.labels[classIndex]) : Json();
    }
    // "7 horse", or "7" where the class has no other name
    std::string named(uint32_t classIndex) const {
        const std::string number = std::to_string(classIndex);
        if (classIndex >= catalogue_.labels.size() || catalogue_.labels[classIndex] == number) return number;
        return number + " " + catalogue_.labels[classIndex];
    }

    void addShare(Table& table, const char* name, uint64_t hits) const {
        const uint64_t images = evaluation_.images();
        const Interval interval = wilsonInterval(hits, images);
        table.addRow({name, fmt::format("{:.2f} %", 100 * ratio(hits, images)),
                      fmt::format("{} of {}; 95 % interval {:.2f} to {:.2f} %", hits, images, 100 * interval.low,
                                  100 * interval.high)});
    }

    // Which pictures the shares are of.
    std::string coverage() const {
        const int64_t classes = catalogue_.realClasses();
        const int64_t seen = std::count_if(truth_.classIndices.begin(), truth_.classIndices.end(),
                                           [&](uint32_t index) { return evaluation_.classCount(index).images > 0; });
        std::string text = seen == classes ? fmt::format("in all {} classes", classes)
                                           : fmt::format("in {} of the {} classes", seen, classes);
        if (!result_.unread.empty()) {
            text += fmt::format("; {} more could not be read and {} not counted", result_.unread.size(),
                                result_.unread.size() == 1 ? "is" : "are");
        }
        if (evaluation_.notFinite() > 0) {
            text += fmt::format("; {} answers were not finite and count as wrong", evaluation_.notFinite());
        }
        return text;
    }

    void printWorst(size_t atMost) const {
        const std::vector<Evaluation::ClassCount> worst = evaluation_.worstClasses(atMost);
        if (worst.empty()) {
            printOut("\nNo picture was taken for another class.\n");
            return;
        }
        Table table(
            {{"least accurate"}, {"pictures", Table::Align::Right}, {"top-1", Table::Align::Right}, {"taken for"}});
        for (const Evaluation::ClassCount& its : worst) {
            table.addRow({named(its.classIndex), std::to_string(its.images),
                          fmt::format("{:.1f} %", 100 * ratio(its.top1, its.images)), takenFor(its.classIndex)});
        }
        printOut("\n{}", table.text(2));
    }

    // "5 dog (12), 4 deer (3) and 2 others (2)"
    std::string takenFor(uint32_t classIndex) const {
        const std::vector<Evaluation::Confusion> confusions = evaluation_.confusionsOf(classIndex);
        std::string text;
        uint64_t others = 0;
        for (size_t i = 0; i < confusions.size(); ++i) {
            if (i < kConfusionsShown) {
                text += fmt::format("{}{} ({})", i ? ", " : "", named(confusions[i].predicted), confusions[i].count);
            } else {
                others += confusions[i].count;
            }
        }
        if (others > 0) text += fmt::format(" and {} more ({})", confusions.size() - kConfusionsShown, others);
        return text;
    }

    const OpenedDevice& device_;
    const OpenedModel& model_;
    const OpenedSession& session_;
    const ClassCatalogue& catalogue_;
    const GroundTruth& truth_;
    const Result& result_;
    const Evaluation& evaluation_;
};

SessionOptions sessionOptionsOf(const EvaluateOptions& options, const DunlinModelInfo& model, size_t pictures) {
    SessionOptions session;
    session.height = options.size.height;
    session.width = options.size.width;
    session.topK = Evaluation::kTop;
    session.inputKinds = DUNLIN_INPUT_PICTURES;
    const uint64_t pixels = options.size.height > 0 ? uint64_t{options.size.height} * options.size.width
                                                    : uint64_t{model.inputHeight} * model.inputWidth;
    const uint64_t batch = options.batch > 0 ? options.batch : kBatchPixels / std::max<uint64_t>(pixels, 1);
    const uint64_t most = std::min<uint64_t>(pictures, DUNLIN_MAX_BATCH);
    session.batch = static_cast<uint32_t>(std::clamp<uint64_t>(batch, 1, most));
    return session;
}

}  // namespace

Outcome<ExitStatus> evaluate(const EvaluateOptions& options) {
    const bool quiet = options.common.quiet;
    DUNLIN_CLI_ASSIGN(const OpenedModel model, openModel(options.model, options.common.cacheDirectory));
    if (!quiet) printDoubts(model);
    DUNLIN_CLI_ASSIGN(LabelFiles labels, readLabelFiles(options.labels, model.info));
    const ClassCatalogue catalogue = catalogueOf(model, std::move(labels.names));
    DUNLIN_CLI_ASSIGN(GroundTruth truth, labels.listPath.empty() ? truthOfFolders(options.folder, catalogue)
                                                                 : truthOfList(labels.listPath, labels.listText,
                                                                               options.folder, catalogue));
    for (const std::string& notice : truth.notices) {
        if (!quiet) printError(notice);
    }
    if (options.limit > 0) truth.pictures = spreadOverClasses(truth.pictures, options.limit);

    DUNLIN_CLI_ASSIGN(const OpenedDevice device, openDevice(options.common));
    const SessionOptions sessionOptions = sessionOptionsOf(options, model.info, truth.pictures.size());
    DUNLIN_CLI_ASSIGN(OpenedSession session, openSession(device, model, options.common, sessionOptions));
    DUNLIN_CLI_ASSIGN(const Result result, evaluatePictures(truth.pictures, device, session, quiet));

    const Report report(device, model, session, catalogue, truth, result);
    if (options.common.json) {
        report.printDocument();
    } else {
        report.printText(options.worst);
    }
    return result.status;
}

}  // namespace dunlin::cli
