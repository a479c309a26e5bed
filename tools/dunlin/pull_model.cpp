#include "tools/dunlin/pull_model.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <system_error>
#include <thread>

#include "tools/dunlin/files.h"
#include "tools/dunlin/labels.h"
#include "tools/dunlin/output.h"
#include "tools/dunlin/part_file.h"
#include "tools/dunlin/sha256.h"

namespace dunlin::cli {
namespace fs = std::filesystem;
namespace {

constexpr size_t kMaxConfigBytes = size_t{1} << 20;

// "12.3 MiB of 97.8 MiB, 4.2 MiB/s, 21 s left"
class Rate {
  public:
    explicit Rate(uint64_t firstByte) : firstByte_(firstByte) {}

    std::string text(uint64_t bytes, std::optional<uint64_t> total) const {
        const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start_;
        const double perSecond = static_cast<double>(bytes - firstByte_) / std::max(elapsed.count(), 1e-3);
        std::string text = formatBytes(bytes);
        if (total) text += " of " + formatBytes(*total);
        text += fmt::format(", {}/s", formatBytes(static_cast<uint64_t>(perSecond)));
        if (total && perSecond >= 1) {
            const double left = static_cast<double>(*total - std::min(bytes, *total)) / perSecond;
            text += left < 90 ? fmt::format(", {:.0f} s left", left) : fmt::format(", {:.0f} min left", left / 60);
        }
        return text;
    }

  private:
    const uint64_t firstByte_;
    const std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

std::optional<uint64_t> freeBytes(const fs::path& folder) {
    std::error_code failed;
    const fs::space_info space = fs::space(folder, failed);
    if (failed) return {};
    return space.available;
}

// Puts what comes into the part, if it is what was expected.
class PartSink final : public DownloadSink {
  public:
    PartSink(PartFile& part, const ModelSource& source, const PullSettings& settings, const fs::path& folder)
        : part_(part), source_(source), settings_(settings), folder_(folder), progress_(source.name, !settings.quiet) {}

    Check begin(const DownloadHead& head) override {
        DUNLIN_CLI_TRY(checkSize(head));
        DUNLIN_CLI_TRY(checkSpace(head));
        if (head.firstByte == 0) {
            DUNLIN_CLI_TRY(part_.restart({source_.url, head.validator, head.totalBytes}));
        } else if (!continues(head)) {
            DUNLIN_CLI_TRY(part_.restart({source_.url, "", {}}));
            return Failure{ExitStatus::BadInput, fmt::format("{}: the server goes on from byte {} with another version",
                                                             source_.url, head.firstByte)};
        }
        total_ = head.totalBytes;
        if (!total_ && source_.bytes > 0) total_ = source_.bytes;
        rate_.emplace(part_.size());
        return {};
    }

    // Off the terminal, so that a notice has a line of its own.
    void clearProgress() { progress_.clear(); }

    Check write(std::span<const std::byte> bytes) override {
        const uint64_t limit = source_.bytes > 0 ? source_.bytes : settings_.maxBytes;
        if (bytes.size() > limit - std::min(part_.size(), limit)) {
            part_.remove();
            return Failure{ExitStatus::BadInput,
                           fmt::format("{}: the file has more than the {} bytes that {}", source_.url, limit,
                                       source_.bytes > 0 ? "were published" : "are the limit")};
        }
        if (const Check failed = part_.append(bytes)) return withSpace(*failed);
        const double share = total_ ? static_cast<double>(part_.size()) / static_cast<double>(*total_) : 0.0;
        progress_.update(share, rate_->text(part_.size(), total_));
        return {};
    }

  private:
    // Servers that know no If-Range send the rest of whatever they have now: its bytes must not join those of another
    // version.
    bool continues(const DownloadHead& head) const {
        const PartOrigin& origin = part_.origin();
        const bool sameKind = head.validator.starts_with('"') == origin.validator.starts_with('"');
        const bool otherVersion = sameKind && !head.validator.empty() && head.validator != origin.validator;
        const bool otherLength = head.totalBytes && origin.totalBytes && *head.totalBytes != *origin.totalBytes;
        return head.firstByte == part_.size() && !otherVersion && !otherLength;
    }

    Check checkSize(const DownloadHead& head) const {
        if (!head.totalBytes) return {};
        const uint64_t total = *head.totalBytes;
        if (source_.bytes > 0 && total != source_.bytes) {
            return Failure{ExitStatus::BadInput, fmt::format("{}: the file has {} bytes, but the published one has {}",
                                                             source_.url, total, source_.bytes)};
        }
        if (total <= settings_.maxBytes) return {};
        return Failure{ExitStatus::BadInput, fmt::format("{}: the file has {} bytes, the limit is {}", source_.url,
                                                         total, settings_.maxBytes)};
    }

    Check checkSpace(const DownloadHead& head) const {
        const std::optional<uint64_t> space = settings_.freeBytes ? settings_.freeBytes(folder_) : freeBytes(folder_);
        if (!head.totalBytes || !space) return {};
        const uint64_t needed = *head.totalBytes - std::min(head.firstByte, *head.totalBytes);
        if (needed <= *space) return {};
        return Failure{ExitStatus::BadInput,
                       fmt::format("{}: {} bytes are needed, but only {} are free", folder_.string(), needed, *space)};
    }

    // A full disk is best told in bytes.
    Failure withSpace(Failure failed) const {
        const std::string needed = total_ ? fmt::format("{} of {} bytes are here", part_.size(), *total_)
                                          : fmt::format("{} bytes are here", part_.size());
        failed.message += fmt::format("; {} and kept, so that the next pull continues", needed);
        return failed;
    }

    PartFile& part_;
    const ModelSource& source_;
    const PullSettings& settings_;
    const fs::path& folder_;
    std::optional<uint64_t> total_;
    std::optional<Rate> rate_;
    ProgressBar progress_;
};

std::string hashOfText(std::string_view text) {
    Sha256 hash;
    hash.add(std::as_bytes(std::span(text)));
    return hash.finish();
}

// A small file whole, like a config.json.
class TextSink final : public DownloadSink {
  public:
    explicit TextSink(std::string url) : url_(std::move(url)) {}
    Check begin(const DownloadHead&) override {
        text_.clear();
        return {};
    }
    Check write(std::span<const std::byte> bytes) override {
        if (bytes.size() > kMaxConfigBytes - text_.size()) {
            return Failure{ExitStatus::BadInput,
                           fmt::format("{}: the file has more than {} bytes", url_, kMaxConfigBytes)};
        }
        text_.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
        return {};
    }
    const std::string& text() const { return text_; }

  private:
    const std::string url_;
    std::string text_;
};

class Pull {
  public:
    Pull(const ModelSource& source, const PullSettings& settings, Downloader& downloader)
        : source_(source),
          settings_(settings),
          downloader_(downloader),
          folder_(settings.folder / source.name),
          weights_(folder_ / source.file) {}

    Outcome<PulledModel> run() {
        DUNLIN_CLI_TRY(makeFolder());
        FileLock lock;
        DUNLIN_CLI_TRY(lock.take(folder_ / ".lock", [this] {
            notice(fmt::format("another dunlin is pulling {}; waiting until it is done", source_.name));
        }));
        if (!settings_.force) {
            if (std::optional<PulledModel> there = find()) return *std::move(there);
        }
        DUNLIN_CLI_ASSIGN(std::string config, fetchConfig());
        config = withLabels(std::move(config));
        if (!settings_.force) {
            if (const std::optional<PullRecord> whole = adopt()) return install(*whole, config, true);
        }
        PartFile part(weights_);
        DUNLIN_CLI_TRY(part.open(source_.url, bar("reading what is here")));
        DUNLIN_CLI_TRY(fetch(part));
        DUNLIN_CLI_ASSIGN(const PullRecord record, verify(part));
        return install(record, config, false);
    }

  private:
    void notice(const std::string& text) const {
        if (!settings_.quiet) printError(text);
    }

    std::function<void(double)> bar(const char* label) const {
        auto progress = std::make_shared<ProgressBar>(label, !settings_.quiet);
        return [progress](double share) { progress->update(share); };
    }

    bool matches(const std::string& hash) const { return hash.starts_with(source_.sha256); }

    Check makeFolder() const {
        std::error_code failed;
        fs::create_directories(folder_, failed);
        if (failed || !fs::is_directory(folder_)) {
            return Failure{ExitStatus::BadInput, fmt::format("{}: the folder cannot be made: {}", folder_.string(),
                                                             failed ? failed.message() : "a file has its name")};
        }
        return {};
    }

    // What an earlier pull has left, if it is whole and what is asked for.
    std::optional<PulledModel> find() const {
        const Outcome<PullRecord> record = readPullRecord(folder_);
        if (!record.ok() || record->file != source_.file || !matches(record->sha256)) return {};
        const Outcome<std::string> hash = hashOf(weights_, bar("verifying"));
        if (hash.ok() && *hash == record->sha256) return PulledModel{folder_, *record, true};
        notice(fmt::format("{}: {}, so it is downloaded again", weights_.string(),
                           hash.ok() ? "the file has changed since it was downloaded" : "the file cannot be read"));
        return {};
    }

    Outcome<std::string> fetchConfig() {
        if (source_.configUrl.empty()) return source_.config;
        return fetchText(source_.configUrl);
    }

    Outcome<std::string> fetchText(const std::string& url) {
        TextSink sink(url);
        DUNLIN_CLI_TRY(attempt([&] { return DownloadRequest{url, 0, ""}; }, sink, [] { return uint64_t{0}; }, [] {}));
        return sink.text();
    }

    // Names are a convenience: a model without them is still the model.
    std::string withLabels(std::string config) {
        if (source_.labelsUrl.empty()) return config;
        const Outcome<std::string> text = fetchText(source_.labelsUrl);
        const bool right = text.ok() && hashOfText(*text) == source_.labelsSha256;
        auto document = nlohmann::ordered_json::parse(config, nullptr, /*allow_exceptions=*/false);
        if (!right || !document.is_object()) {
            notice(fmt::format(
                "the names of the classes are missing, so give --labels FILE where they are wanted: {}",
                text.ok() ? source_.labelsUrl + " is not the file that was published" : text.failure().message));
            return config;
        }
        document["label_names"] = parseLabels(*text);
        return document.dump(2) + "\n";
    }

    // Until the file is here, or it is clear that it will not come.
    Check fetch(PartFile& part) {
        if (isComplete(part)) return {};
        if (part.size() > 0 && part.origin().validator.empty()) {
            // Nothing would tell that the server's file has changed.
            DUNLIN_CLI_TRY(part.restart({source_.url, "", {}}));
        }
        if (part.size() > 0) {
            notice(fmt::format("{} are here already and are continued", formatBytes(part.size())));
        }
        PartSink sink(part, source_, settings_, folder_);
        return attempt(
            [&] {
                return DownloadRequest{source_.url, part.size(), part.origin().validator};
            },
            sink, [&] { return part.size(); }, [&] { sink.clearProgress(); }, &part);
    }

    bool isComplete(const PartFile& part) const {
        const uint64_t total = part.origin().totalBytes.value_or(source_.bytes);
        return total > 0 && part.size() == total;
    }

    // `request` and `progress` are asked anew each time.
    Check attempt(const std::function<DownloadRequest()>& request, DownloadSink& sink,
                  const std::function<uint64_t()>& progress, const std::function<void()>& clearProgress,
                  PartFile* part = nullptr) {
        auto pause = settings_.firstPause;
        for (int failures = 0;;) {
            const uint64_t before = progress();
            const DownloadResult result = downloader_.get(request(), sink);
            clearProgress();
            if (result.end == DownloadResult::End::Complete) return {};
            if (result.end == DownloadResult::End::BeyondEnd && result.totalBytes == before) return {};
            const bool startsAgain = result.end == DownloadResult::End::BeyondEnd ||
                                     (result.end == DownloadResult::End::Impossible && before > 0 && progress() == 0);
            if (startsAgain && ++failures < settings_.attempts) {
                notice(fmt::format("{}: the file has changed since a part of it was downloaded; starting again",
                                   source_.url));
                if (part != nullptr) DUNLIN_CLI_TRY(part->restart({source_.url, "", {}}));
                continue;
            }
            if (result.end == DownloadResult::End::BeyondEnd) return keepsChanging();
            if (result.end == DownloadResult::End::Impossible) return result.failure;
            if (progress() > before) {
                failures = 0;
                pause = settings_.firstPause;
            }
            if (++failures >= settings_.attempts) return afterAttempts(result.failure, failures, progress());
            notice(fmt::format("{}; trying again in {:.3g} s", result.failure.message,
                               std::chrono::duration<double>(pause).count()));
            std::this_thread::sleep_for(pause);
            pause *= 2;
        }
    }

    Failure keepsChanging() const {
        return {ExitStatus::BadInput, fmt::format("{}: the file changes while it is downloaded", source_.url)};
    }

    Failure afterAttempts(Failure failure, int attempts, uint64_t bytes) const {
        failure.message += fmt::format(" (after {} attempts", attempts);
        if (bytes > 0)
            failure.message += fmt::format("; {} are kept, so that the next pull continues", formatBytes(bytes));
        failure.message += ")";
        return failure;
    }

    // Weights that were verified before something kept the record from being written.
    std::optional<PullRecord> adopt() const {
        std::error_code failed;
        const uint64_t bytes = fs::file_size(weights_, failed);
        if (failed || readPullRecord(folder_).ok()) return {};
        const Outcome<std::string> hash = hashOf(weights_, bar("verifying"));
        if (!hash.ok() || !matches(*hash)) return {};
        return recordOf(*hash, bytes);
    }

    PullRecord recordOf(const std::string& hash, uint64_t bytes) const {
        return {source_.url, source_.file, hash, bytes, source_.licence, source_.publisher};
    }

    // The part becomes the weights, if its hash is right.
    Outcome<PullRecord> verify(PartFile& part) const {
        const std::string hash = part.hash();
        if (!matches(hash)) {
            part.remove();
            const char* const more = source_.sha256.size() < hash.size() ? "..." : "";
            return Failure{ExitStatus::BadInput,
                           fmt::format("{}: the file's SHA-256 is {}, but {}{} was expected, so it was removed",
                                       source_.url, hash, source_.sha256, more)};
        }
        // While the weights are exchanged nothing may take the folder for whole.
        std::error_code ignored;
        fs::remove(folder_ / kPullRecordName, ignored);
        DUNLIN_CLI_TRY(part.commit());
        return recordOf(hash, part.size());
    }

    Outcome<PulledModel> install(const PullRecord& record, const std::string& config, bool wasThere) const {
        DUNLIN_CLI_TRY(replace(folder_ / "config.json", config));
        sync(folder_);
        DUNLIN_CLI_TRY(replace(folder_ / kPullRecordName, textOf(record)));
        sync(folder_);
        return PulledModel{folder_, record, wasThere};
    }

    // An empty text: no such file.
    static Check replace(const fs::path& path, const std::string& text) {
        if (text.empty()) {
            std::error_code ignored;
            fs::remove(path, ignored);
            return {};
        }
        OutputFiles files;
        DUNLIN_CLI_TRY(files.write(path, {}, std::as_bytes(std::span(text))));
        DUNLIN_CLI_TRY(files.commit());
        sync(path);
        return {};
    }

    const ModelSource& source_;
    const PullSettings& settings_;
    Downloader& downloader_;
    const fs::path folder_, weights_;
};

}  // namespace

Outcome<PulledModel> pullModel(const ModelSource& source, const PullSettings& settings, Downloader& downloader) {
    return Pull(source, settings, downloader).run();
}

}  // namespace dunlin::cli
