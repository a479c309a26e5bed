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
constexpr const char* kConfigName = "config.json";
constexpr const char* kLockName = ".lock";
constexpr const char* kTrialName = ".trial";  // a folder to open weights in
// Names are not worth waiting for.
constexpr std::chrono::seconds kLabelsTime{10};

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
        : part_(part),
          source_(source),
          shown_(shownUrl(source.url)),
          settings_(settings),
          folder_(folder),
          progress_(source.name, !settings.quiet) {}

    Check begin(const DownloadHead& head) override {
        DUNLIN_CLI_TRY(checkSize(head));
        if (head.firstByte == 0) {
            DUNLIN_CLI_TRY(part_.restart({shown_, head.validator, head.totalBytes}));
        } else if (!continues(head)) {
            DUNLIN_CLI_TRY(part_.restart({shown_, "", {}}));
            return Failure{ExitStatus::BadInput, fmt::format("{}: the server goes on from byte {} with another version",
                                                             shown_, head.firstByte)};
        }
        DUNLIN_CLI_TRY(checkSpace(head));  // last: what was thrown away is free again
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
                           fmt::format("{}: the file has more than the {} bytes that {}", shown_, limit,
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
                                                             shown_, total, source_.bytes)};
        }
        if (total <= settings_.maxBytes) return {};
        return Failure{ExitStatus::BadInput,
                       fmt::format("{}: the file has {} bytes, the limit is {}", shown_, total, settings_.maxBytes)};
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
    const std::string shown_;
    const PullSettings& settings_;
    const fs::path& folder_;
    std::optional<uint64_t> total_;
    std::optional<Rate> rate_;
    ProgressBar progress_;
};

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
          shown_(shownUrl(source.url)),
          folder_(settings.folder / source.name),
          weights_(folder_ / source.file) {}

    Outcome<PulledModel> run() {
        // Without a lock and before anything is written: a cache may be there to be read only.
        const std::optional<PulledModel> there = settings_.force ? std::nullopt : find();
        if (there && isConfigured()) return *there;
        FileLock lock;
        if (const Check failed = prepare(lock)) {
            if (!there) return *failed;
            notice(failed->message + ", so its config.json stays as it is");
            return *there;
        }
        Outcome<PulledModel> pulled = runLocked();
        if (!pulled.ok()) removeIfEmpty();
        return pulled;
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

    Outcome<PulledModel> runLocked() {
        if (!settings_.force) {
            if (const std::optional<PulledModel> there = find()) return completed(*there);
            DUNLIN_CLI_TRY(refuseToReplace());
        }
        DUNLIN_CLI_ASSIGN(const std::string config, fetchConfig());
        if (!settings_.force) {
            if (const std::optional<PullRecord> whole = adopt()) {
                DUNLIN_CLI_TRY(opens(weights_, config));
                return install(*whole, config, true);
            }
        }
        PartFile part(weights_);
        DUNLIN_CLI_TRY(part.open(shown_, bar("reading what is here")));
        if (const Check failed = fetch(part)) {
            if (part.size() == 0) part.remove();
            return *failed;
        }
        DUNLIN_CLI_ASSIGN(const PullRecord record, verify(part));
        if (Check failed = opens(part.path(), config)) {
            part.remove();
            failed->message += "; it was removed";
            return *std::move(failed);
        }
        // While the weights are exchanged nothing may take the folder for whole.
        std::error_code ignored;
        fs::remove(folder_ / kPullRecordName, ignored);
        DUNLIN_CLI_TRY(part.commit());
        return install(record, config, false);
    }

    Check prepare(FileLock& lock) const {
        constexpr int kAttempts = 3;
        for (int i = 1;; ++i) {
            DUNLIN_CLI_TRY(makeFolder());
            Check failed = lock.take(folder_ / kLockName, [this] {
                notice(fmt::format("another dunlin is pulling {}; waiting until it is done", source_.name));
            });
            // Who had the lock may have removed the folder.
            std::error_code ignored;
            if (!failed || i == kAttempts || fs::exists(folder_, ignored)) return failed;
        }
    }

    // The folder, where nothing but the lock is in it.
    void removeIfEmpty() const {
        std::error_code failed;
        for (fs::directory_iterator entry(folder_, failed), end; !failed && entry != end; entry.increment(failed)) {
            if (entry->path().filename() != kLockName) return;
        }
        fs::remove(folder_ / kLockName, failed);
        fs::remove(folder_, failed);
    }

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
        if (!record.ok() || record->file != source_.file || isAnother(*record)) return {};
        const Outcome<std::string> hash = hashOf(weights_, bar("verifying"));
        if (hash.ok() && *hash == record->sha256) return PulledModel{folder_, *record, true};
        return {};
    }

    bool isAnother(const PullRecord& record) const {
        // A few digits do not tell that another address has the same file.
        const bool otherAddress = source_.sha256.size() < record.sha256.size() && record.url != shown_;
        return otherAddress || !matches(record.sha256);
    }

    // Another model would go: that is not for this pull to decide.
    Check refuseToReplace() const {
        const Outcome<PullRecord> record = readPullRecord(folder_);
        if (!record.ok()) return {};
        if (isAnother(*record)) {
            return Failure{
                ExitStatus::WrongUse,
                fmt::format("{}: weights from {} with the hash {} are here under this name; --force replaces "
                            "them, --as gives these another name",
                            source_.name, record->url, record->sha256)};
        }
        if (record->file == source_.file) {
            notice(
                fmt::format("{}: the file is not what was downloaded, so it is downloaded again", weights_.string()));
        }
        return {};
    }

    // Whether config.json is what this pull would write. Where it would write none, what is there is the user's.
    bool isConfigured() const {
        if (source_.config.empty() && source_.configUrl.empty()) return true;
        const Outcome<std::vector<std::byte>> bytes = readFile(folder_ / kConfigName, kMaxConfigBytes);
        if (!bytes.ok()) return false;
        const auto* text = reinterpret_cast<const char*>(bytes->data());
        auto config = nlohmann::json::parse(text, text + bytes->size(), nullptr, /*allow_exceptions=*/false);
        if (!config.is_object()) return false;
        if (source_.config.empty()) return true;
        if (!source_.labelsUrl.empty() && config.erase("label_names") == 0) return false;
        return config == nlohmann::json::parse(source_.config, nullptr, /*allow_exceptions=*/false);
    }

    // Weights that are whole, with the config.json that belongs to them.
    Outcome<PulledModel> completed(const PulledModel& there) {
        if (isConfigured()) return there;
        DUNLIN_CLI_ASSIGN(const std::string config, fetchConfig());
        return install(there.record, config, true);
    }

    // Weights that do not open must not take the place of others: they are opened in a folder of their own.
    Check opens(const fs::path& weights, const std::string& config) const {
        if (!settings_.opens) return {};
        const fs::path trial = folder_ / kTrialName, there = trial / source_.file;
        std::error_code failed, ignored;
        fs::remove_all(trial, ignored);
        fs::create_directory(trial, failed);
        bool moved = false;
        if (!failed) {
            fs::create_symlink(fs::absolute(weights), there, failed);
            // Some file systems have no links.
            if (failed) {
                fs::rename(weights, there, failed);
                moved = true;
            }
        }
        Check wrong;
        if (failed) {
            const std::string reason = failed.message();
            wrong = Failure{ExitStatus::BadInput, fmt::format("{}: cannot be written: {}", trial.string(), reason)};
        }
        if (!wrong) wrong = replace(trial / kConfigName, config);
        if (!wrong) wrong = settings_.opens(trial);
        if (moved) fs::rename(there, weights, ignored);
        fs::remove_all(trial, ignored);
        return wrong;
    }

    Outcome<std::string> fetchConfig() {
        if (source_.configUrl.empty()) return source_.config;
        return fetchText(source_.configUrl);
    }

    Outcome<std::string> fetchText(const std::string& url) {
        TextSink sink(shownUrl(url));
        DUNLIN_CLI_TRY(attempt(
            [&] {
                return DownloadRequest{url, 0, "", {}};
            },
            sink, [] { return uint64_t{0}; }, [] {}));
        return sink.text();
    }

    // Names are a convenience: a model without them is still the model. So they come last, and in one attempt.
    std::string withLabels(std::string config) {
        if (source_.labelsUrl.empty()) return config;
        TextSink sink(shownUrl(source_.labelsUrl));
        const DownloadResult result = downloader_.get({source_.labelsUrl, 0, "", kLabelsTime}, sink);
        const bool came = result.end == DownloadResult::End::Complete;
        const bool right = came && sha256Of(sink.text()) == source_.labelsSha256;
        auto document = nlohmann::ordered_json::parse(config, nullptr, /*allow_exceptions=*/false);
        if (!right || !document.is_object()) {
            notice(fmt::format(
                "{}: only the names of the classes are missing; give --labels FILE where they are wanted, or pull "
                "again later: {}",
                source_.name,
                came ? shownUrl(source_.labelsUrl) + " is not the file that was published" : result.failure.message));
            return config;
        }
        document["label_names"] = parseLabels(sink.text());
        return document.dump(2) + "\n";
    }

    // Until the file is here, or it is clear that it will not come.
    Check fetch(PartFile& part) {
        if (isComplete(part)) return {};
        if (part.size() > 0 && part.origin().validator.empty()) {
            // Nothing would tell that the server's file has changed.
            DUNLIN_CLI_TRY(part.restart({shown_, "", {}}));
        }
        if (part.size() > 0) {
            notice(fmt::format("{} are here already and are continued", formatBytes(part.size())));
        }
        PartSink sink(part, source_, settings_, folder_);
        return attempt(
            [&] {
                return DownloadRequest{source_.url, part.size(), part.origin().validator, {}};
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
        uint64_t best = progress();
        for (int failures = 0;;) {
            const uint64_t before = progress();
            DownloadResult result = downloader_.get(request(), sink);
            clearProgress();
            if (part != nullptr) result = unlessCut(std::move(result), *part);
            if (result.end == DownloadResult::End::Complete) return {};
            if (result.end == DownloadResult::End::BeyondEnd && result.totalBytes == before) return {};
            const bool startsAgain = result.end == DownloadResult::End::BeyondEnd ||
                                     (result.end == DownloadResult::End::Impossible && before > 0 && progress() == 0);
            if (startsAgain && ++failures < settings_.attempts) {
                notice(
                    fmt::format("{}: the file has changed since a part of it was downloaded; starting again", shown_));
                if (part != nullptr) DUNLIN_CLI_TRY(part->restart({shown_, "", {}}));
                continue;
            }
            if (result.end == DownloadResult::End::BeyondEnd) return keepsChanging();
            if (result.end == DownloadResult::End::Impossible) return result.failure;
            // Only what no attempt had before: of two versions in turn, each anew from its first byte, none ever ends.
            if (progress() > best) {
                best = progress();
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

    // A body that ends early is no error where its answer had no length; a length may be known all the same.
    DownloadResult unlessCut(DownloadResult result, const PartFile& part) const {
        const uint64_t total = part.origin().totalBytes.value_or(source_.bytes);
        if (result.end != DownloadResult::End::Complete || part.size() >= total) return result;
        return {DownloadResult::End::Cut,
                Failure{ExitStatus::BadInput,
                        fmt::format("{}: the connection ended after {} of {} bytes", shown_, part.size(), total)},
                {}};
    }

    Failure keepsChanging() const {
        return {ExitStatus::BadInput, fmt::format("{}: the file changes while it is downloaded", shown_)};
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
        return {shown_, source_.file, hash, bytes, source_.licence, source_.publisher};
    }

    // Whether the part has the right hash; if not, it is removed.
    Outcome<PullRecord> verify(PartFile& part) const {
        const std::string hash = part.hash();
        if (!matches(hash)) {
            const bool lengthKnown = part.origin().totalBytes || source_.bytes > 0;
            part.remove();
            return Failure{ExitStatus::BadInput,
                           fmt::format("{}: the file's SHA-256 is {}, but {}{} was expected, so it was removed{}",
                                       shown_, hash, source_.sha256, source_.sha256.size() < hash.size() ? "..." : "",
                                       lengthKnown ? "" : "; the server told no length, so it may have been cut")};
        }
        return recordOf(hash, part.size());
    }

    Outcome<PulledModel> install(const PullRecord& record, const std::string& config, bool wasThere) {
        DUNLIN_CLI_TRY(removeOtherWeights());
        DUNLIN_CLI_TRY(replace(folder_ / kConfigName, withLabels(config)));
        sync(folder_);
        DUNLIN_CLI_TRY(replace(folder_ / kPullRecordName, textOf(record)));
        sync(folder_);
        return PulledModel{folder_, record, wasThere};
    }

    // Those of an earlier pull, of the other format: a folder with both opens as model.safetensors.
    Check removeOtherWeights() const {
        for (const char* name : {kSafetensorsName, kCheckpointName}) {
            if (source_.file == name) continue;
            std::error_code failed;
            fs::remove(folder_ / name, failed);
            if (failed) {
                return Failure{ExitStatus::BadInput,
                               fmt::format("{}: cannot be removed: {}", (folder_ / name).string(), failed.message())};
            }
        }
        return {};
    }

    // An empty text: no such file. A link is replaced, not followed: it would lead out of the folder.
    static Check replace(const fs::path& path, const std::string& text) {
        std::error_code ignored;
        if (text.empty() || fs::is_symlink(path, ignored)) fs::remove(path, ignored);
        if (text.empty()) return {};
        OutputFiles files;
        DUNLIN_CLI_TRY(files.write(path, {}, std::as_bytes(std::span(text))));
        DUNLIN_CLI_TRY(files.commit());
        sync(path);
        return {};
    }

    const ModelSource& source_;
    const PullSettings& settings_;
    Downloader& downloader_;
    const std::string shown_;  // the address, for messages and records
    const fs::path folder_, weights_;
};

}  // namespace

Outcome<PulledModel> pullModel(const ModelSource& source, const PullSettings& settings, Downloader& downloader) {
    return Pull(source, settings, downloader).run();
}

}  // namespace dunlin::cli
