// dunlin classify: the likeliest classes of pictures.
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>

#include "tools/dunlin/commands.h"
#include "tools/dunlin/files.h"
#include "tools/dunlin/labels.h"
#include "tools/dunlin/library.h"
#include "tools/dunlin/output.h"
#include "tools/dunlin/picture_answers.h"
#include "tools/dunlin/picture_layout.h"
#include "tools/dunlin/terminal_style.h"

namespace dunlin::cli {
namespace {

using Json = nlohmann::ordered_json;

constexpr size_t kBarWidth = 24;

// A name for every class that has one.
class ClassNames {
  public:
    ClassNames(const Model& model, std::vector<std::string> labels) : model_(model), labels_(std::move(labels)) {}

    const char* find(uint32_t classIndex) const {
        if (labels_.empty()) return model_.label(classIndex);
        return classIndex < labels_.size() ? labels_[classIndex].c_str() : nullptr;
    }

    std::string nameOrNumber(uint32_t classIndex) const {
        const char* name = find(classIndex);
        return name ? name : fmt::format("class {}", classIndex);
    }

    // Characters of the longest, of `classes` classes.
    size_t longest(uint32_t classes) const {
        size_t longest = 0;
        for (uint32_t i = 0; i < classes; ++i) longest = std::max(longest, displayWidth(nameOrNumber(i)));
        return longest;
    }

  private:
    const Model& model_;
    std::vector<std::string> labels_;
};

// Prints answers as they come, or collects them for the JSON document.
class Report {
  public:
    Report(const OpenedDevice& device, const OpenedModel& model, const OpenedSession& session, const ClassNames& names,
           const ClassifyOptions& options)
        : device_(device),
          model_(model),
          session_(session),
          names_(names),
          json_(options.common.json),
          show_(options.show),
          style_(stdoutStyle()) {
        if (options.show) longestLabel_ = names.longest(model.info.classes);
        if (options.show && options.top == 1) sheet_.emplace(longestLabel_, style_);
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
            if (!headingPrinted_) printHeading();
            writeOut(show_ ? shownText(answer) : plainText(answer.file, *answer.top));
            std::fflush(stdout);
        }
    }

    void finish(size_t pictures, double seconds) {
        if (json_) {
            printJson(document_);
        } else if (pictures > 0) {
            if (sheet_) writeOut(sheet_->finish());
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

    std::string plainText(const std::string& file, const std::vector<Prediction>& top) const {
        Table table(
            {{"", Table::Align::Right}, {"", Table::Align::Left}, {"", Table::Align::Right}, {"", Table::Align::Left}});
        for (const Prediction& prediction : top) {
            const char* label = names_.find(prediction.classIndex);
            table.addRow({std::to_string(prediction.classIndex), label ? label : "(no label)",
                          fmt::format("{:.1f} %", prediction.probability * 100),
                          formatBar(prediction.probability, kBarWidth, style_.utf8)});
        }
        return fmt::format("{}\n{}\n", withoutControls(file), table.text(2));
    }

    std::string shownText(const Answer& answer) {
        std::vector<ShownAnswer> top;
        for (const Prediction& prediction : *answer.top) {
            top.push_back({names_.nameOrNumber(prediction.classIndex), prediction.probability});
        }
        return sheet_ ? sheet_->add(*answer.picture, answer.file, top.front())
                      : pictureWithAnswers(*answer.picture, answer.file, top, longestLabel_, style_);
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
    const bool json_, show_;
    const TerminalStyle style_;
    size_t longestLabel_ = 0;
    std::optional<PictureSheet> sheet_;  // for one answer a picture
    bool headingPrinted_ = false;
    Json document_;
};

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
    Report report(device, model, session, names, options);
    // Answers that scroll by on the terminal are progress enough.
    ProgressBar progress("classifying", !options.common.quiet && (options.common.json || !stdoutIsTerminal()));
    const AnswerTotals totals =
        answerPictures(files, device.info, session, progress, [&](const Answer& answer) { report.add(answer); });
    progress.clear();
    report.finish(totals.answered, totals.networkSeconds);
    DUNLIN_CLI_TRY(totals.stopped);
    DUNLIN_CLI_TRY(device.messages->check());
    return totals.status;
}

}  // namespace dunlin::cli
