#include "tools/dunlin/picture_answers.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <thread>

#include "tools/dunlin/picture_reader.h"
#include "tools/dunlin/reference_run.h"

namespace dunlin::cli {
namespace {

using Clock = std::chrono::steady_clock;

constexpr size_t kMaxDecodingThreads = 16;

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
            Outcome<std::vector<Prediction>> top = Failure{};
            if (read) {
                top = outputs->top(row);
            } else {
                top = pictures_[i].failure();
            }
            answers.push_back({std::move(files_[i]), std::move(pictures_[i]), std::move(top)});
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

struct Decoding {
    size_t threads;
    PictureReader::Pace pace;
};

// Which threads decode pictures. While the network runs where it leaves processors free. On the CPU its threads take a
// whole processor each, also while they wait for one another; where there is none besides, those that decode a batch
// have all processors before the network does.
Decoding decodingFor(const DunlinDeviceInfo& device, size_t batchSize) {
    const size_t processors = std::max(1u, std::thread::hardware_concurrency());
    const auto atMost = [](size_t threads) { return std::clamp<size_t>(threads, 1, kMaxDecodingThreads); };
    if (device.type == DUNLIN_DEVICE_TYPE_SOFTWARE_VULKAN) return {atMost(processors / 2), PictureReader::Pace::Ahead};
    if (device.type != DUNLIN_DEVICE_TYPE_CPU) return {atMost(processors - 1), PictureReader::Pace::Ahead};
    if (processors > device.threads) return {atMost(processors - device.threads), PictureReader::Pace::Ahead};
    const size_t threads = atMost(std::min(processors, batchSize));
    return {threads > 1 ? threads : 0, PictureReader::Pace::OnDemand};
}

}  // namespace

std::vector<std::string> readableOf(const std::vector<InputFile>& files) {
    std::vector<std::string> readable;
    for (const InputFile& file : files) {
        if (!file.failure) readable.push_back(file.path);
    }
    return readable;
}

AnswerTotals answerPictures(const std::vector<InputFile>& files, const DunlinDeviceInfo& device, OpenedSession& session,
                            ProgressBar& progress, const std::function<void(const Answer&)>& take) {
    const size_t batchSize = session.info.batch;
    const Decoding decoding = decodingFor(device, batchSize);
    const bool onDemand = decoding.pace == PictureReader::Pace::OnDemand;
    PictureReader reader(readableOf(files), decoding.threads, onDemand ? batchSize : 2 * batchSize + decoding.threads,
                         decoding.pace);
    Batch batch(session.session);
    AnswerTotals totals;
    for (size_t i = 0; i < files.size(); ++i) {
        batch.add(files[i].path, files[i].failure ? Outcome<Picture>(*files[i].failure) : reader.next());
        if (batch.size() < batchSize && i + 1 < files.size()) continue;
        double seconds = 0;
        const Outcome<std::vector<Answer>> answers = batch.run(session.info.batch, seconds);
        if (!answers.ok()) {
            totals.stopped = answers.failure();
            break;
        }
        totals.networkSeconds += seconds;
        progress.update(static_cast<double>(i + 1) / static_cast<double>(files.size()));
        for (const Answer& answer : *answers) {
            take(answer);
            totals.answered += answer.top.ok() ? 1 : 0;
            if (!answer.top.ok()) totals.status = std::max(totals.status, answer.top.failure().status);
        }
    }
    return totals;
}

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

}  // namespace dunlin::cli
