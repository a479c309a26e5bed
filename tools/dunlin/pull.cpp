// dunlin pull: published weights into the cache.
#include <fmt/format.h>

#include <cstdlib>
#include <nlohmann/json.hpp>

#include "tools/dunlin/commands.h"
#include "tools/dunlin/files.h"
#include "tools/dunlin/library.h"
#include "tools/dunlin/output.h"
#include "tools/dunlin/published_weights.h"
#include "tools/dunlin/pull_model.h"
#include "tools/dunlin/shipped.h"

namespace dunlin::cli {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::string_view kHubScheme = "hf:";
constexpr const char* kImageNetTerms = "ImageNet, whose own terms allow non-commercial research and education";

Failure wrongUse(std::string message) {
    return {ExitStatus::WrongUse, std::move(message)};
}

Json orNull(std::string_view text) {
    return text.empty() ? Json() : Json(text);
}

ExitStatus list(const PullOptions& options) {
    Json document = {{"weights", Json::array()}};
    Table table({{"name"}, {"licence"}, {"size", Table::Align::Right}, {"publisher"}, {"address"}});
    for (const PublishedWeights& weights : publishedWeights()) {
        document["weights"].push_back({{"name", weights.name},
                                       {"architecture", weights.architecture},
                                       {"licence", weights.licence},
                                       {"bytes", weights.bytes > 0 ? Json(weights.bytes) : Json()},
                                       {"publisher", weights.publisher},
                                       {"sha256", weights.sha256},
                                       {"url", weights.url}});
        table.addRow({std::string(weights.name), std::string(weights.licence),
                      weights.bytes > 0 ? formatBytes(weights.bytes) : "", std::string(weights.publisher),
                      std::string(weights.url)});
    }
    if (options.json) {
        printJson(document);
    } else {
        printOut("{}\nAll were trained on {}.\n", table.text(), kImageNetTerms);
    }
    return ExitStatus::Done;
}

bool isUrl(std::string_view model) {
    return model.find("://") != std::string_view::npos;
}

// The last part of an address's path, without what follows it.
std::string_view lastPart(std::string_view url) {
    url = url.substr(0, url.find_first_of("?#"));
    return url.substr(url.rfind('/') + 1);
}

std::string_view withoutEnding(std::string_view file) {
    return file.substr(0, file.rfind('.'));
}

Outcome<ModelSource> fromTable(const PullOptions& options) {
    const PublishedWeights* weights = findPublishedWeights(options.model);
    if (weights == nullptr && findShippedModel(options.model) != nullptr) {
        return wrongUse(fmt::format("{} ships with dunlin; there is nothing to download", options.model));
    }
    if (weights == nullptr) {
        return wrongUse(
            fmt::format("no published weights are known as '{}'; the nearest names are {} "
                        "(`dunlin pull --list` lists all)",
                        options.model, nearestPublishedNames(options.model)));
    }
    if (!options.sha256.empty() && !options.sha256.starts_with(weights->sha256)) {
        return wrongUse(fmt::format("--sha256: the weights known as {} have another hash, {}{}", weights->name,
                                    weights->sha256, weights->sha256.size() < 64 ? "..." : ""));
    }
    ModelSource source;
    source.name = weights->name;
    source.url = weights->url;
    source.file = weights->url.ends_with(".safetensors") ? kSafetensorsName : kCheckpointName;
    source.sha256 = options.sha256.empty() ? weights->sha256 : std::string_view(options.sha256);
    source.bytes = weights->bytes;
    source.licence = weights->licence;
    source.publisher = weights->publisher;
    source.config = configOf(*weights);
    source.labelsUrl = publishedLabels().url;
    source.labelsSha256 = publishedLabels().sha256;
    return source;
}

Outcome<ModelSource> fromUrl(const PullOptions& options) {
    const std::string& url = options.model;
    if (!url.starts_with("https://") && !url.starts_with("http://")) {
        return wrongUse(fmt::format("{}: only https:// and http:// addresses can be pulled", shownUrl(url)));
    }
    const std::string_view file = lastPart(url);
    ModelSource source;
    source.url = url;
    source.file = file.ends_with(".safetensors") ? kSafetensorsName : kCheckpointName;
    source.name = withoutEnding(file);
    return source;
}

// hf:OWNER/REPOSITORY, as huggingface.co publishes folders; HF_ENDPOINT names another host, as its own tools have it.
Outcome<ModelSource> fromHub(const PullOptions& options) {
    const std::string_view repository = std::string_view(options.model).substr(kHubScheme.size());
    const size_t slash = repository.find('/');
    const std::string_view owner = repository.substr(0, slash);
    const std::string_view name = slash == std::string_view::npos ? "" : repository.substr(slash + 1);
    if (!isModelName(owner) || !isModelName(name)) {
        return wrongUse(fmt::format("'{}' is not hf:OWNER/REPOSITORY", options.model));
    }
    const char* endpoint = std::getenv("HF_ENDPOINT");
    std::string base = endpoint != nullptr && *endpoint != '\0' ? endpoint : "https://huggingface.co";
    while (base.ends_with('/')) base.pop_back();
    const std::string folder = fmt::format("{}/{}/{}/resolve/main/", base, owner, name);
    ModelSource source;
    source.url = folder + kSafetensorsName;
    source.configUrl = folder + "config.json";
    source.file = kSafetensorsName;
    source.name = name;
    source.publisher = owner;
    return source;
}

Outcome<ModelSource> sourceOf(const PullOptions& options) {
    const bool known = !isUrl(options.model) && !options.model.starts_with(kHubScheme);
    DUNLIN_CLI_ASSIGN(ModelSource source, known                  ? fromTable(options)
                                          : isUrl(options.model) ? fromUrl(options)
                                                                 : fromHub(options));
    if (!known) {
        if (options.sha256.empty()) {
            return wrongUse(fmt::format("{}: its hash is not known; give it with --sha256", shownUrl(options.model)));
        }
        source.sha256 = options.sha256;
    }
    if (!options.as.empty()) source.name = options.as;
    if (!isModelName(source.name)) {
        return wrongUse(
            fmt::format("'{}' cannot be the model's name: letters, digits and . _ - @ can, at most 128, no "
                        "dot first and no .safetensors or .pth last (--as gives another name)",
                        source.name));
    }
    if (findShippedModel(source.name) != nullptr) {
        return wrongUse(
            fmt::format("{} is a model that ships with dunlin; --as gives this one another name", source.name));
    }
    return source;
}

std::string environmentValue(const char* variable) {
    const char* value = std::getenv(variable);
    return value == nullptr ? "" : value;
}

CurlSettings curlSettings() {
    CurlSettings settings;
    settings.certificates = environmentValue("CURL_CA_BUNDLE");
    if (settings.certificates.empty()) settings.certificates = environmentValue("SSL_CERT_FILE");
    settings.certificateFolder = environmentValue("SSL_CERT_DIR");
    return settings;
}

void announce(const ModelSource& source) {
    if (source.url.starts_with("http://")) {
        printError(fmt::format("{}: this address is not encrypted; only the hash says that the file is the right one",
                               shownUrl(source.url)));
    }
}

// What the hash is worth.
const char* originOfHash(const ModelSource& source, const PullOptions& options) {
    if (!options.sha256.empty()) return "as given";
    const bool whole = source.sha256.size() == 64;
    return whole ? "as published" : "8 of 64 digits are published: finds damage, not forgery";
}

void report(const PulledModel& pulled, const ModelSource& source, const PullOptions& options) {
    const PullRecord& record = pulled.record;
    if (options.json) {
        printJson({{"name", source.name},
                   {"path", pulled.folder.string()},
                   {"sha256", record.sha256},
                   {"bytes", record.bytes},
                   {"licence", orNull(record.licence)},
                   {"publisher", orNull(record.publisher)},
                   {"url", record.url},
                   {"wasThere", pulled.wasThere}});
        return;
    }
    Table table({{""}, {""}});
    table.addRow({"path", pulled.folder.string()});
    table.addRow({"size", formatBytes(record.bytes)});
    table.addRow({"sha256", fmt::format("{} ({})", record.sha256, originOfHash(source, options))});
    table.addRow({"licence", record.licence.empty() ? "not known" : record.licence});
    if (!record.publisher.empty()) table.addRow({"publisher", record.publisher});
    if (!source.config.empty()) table.addRow({"trained on", kImageNetTerms});
    printOut("{} is {}\n{}", source.name, pulled.wasThere ? "here already, and whole" : "here", table.text(2));
}

// What was pulled is of use only if it opens.
Check checkOpens(const std::filesystem::path& folder) {
    const Expected<Model> model = Model::open(folder.string(), {});
    if (model) return {};
    return Failure{ExitStatus::BadInput, fmt::format("the file is the one that was asked for, but cannot be opened: {}",
                                                     model.error().message)};
}

}  // namespace

Outcome<ExitStatus> pull(const PullOptions& options) {
    if (options.list) return list(options);
    if (options.model.empty())
        return wrongUse("pull needs the name of a model; `dunlin pull --list` lists those known");
    DUNLIN_CLI_ASSIGN(const ModelSource source, sourceOf(options));
    DUNLIN_CLI_ASSIGN(const std::unique_ptr<Downloader> downloader, makeCurlDownloader(curlSettings()));
    if (options.cacheDirectory.empty()) {
        return wrongUse("there is no cache folder to put the model into; name one with --cache DIR");
    }
    if (!options.quiet) announce(source);
    PullSettings settings;
    settings.folder = pulledModelsFolder(options.cacheDirectory);
    settings.force = options.force;
    settings.quiet = options.quiet;
    settings.opens = checkOpens;
    DUNLIN_CLI_ASSIGN(const PulledModel pulled, pullModel(source, settings, *downloader));
    if (pulled.wasThere) DUNLIN_CLI_TRY(checkOpens(pulled.folder));
    report(pulled, source, options);
    return ExitStatus::Done;
}

}  // namespace dunlin::cli
