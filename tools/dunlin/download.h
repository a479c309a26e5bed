// Fetching a file over HTTP, told apart from who does it: pulling is tested with a downloader of the test's own.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "tools/dunlin/outcome.h"

namespace dunlin::cli {

struct DownloadRequest {
    std::string url;                         // https://..., or http://... where the user named it
    uint64_t firstByte = 0;                  // bytes before it are here already
    std::string validator;                   // what the server called the version that these bytes are of (If-Range)
    std::chrono::milliseconds timeLimit{0};  // for all of it; 0: none but those of the downloader
};

// What a server says before the content. Other answers than 200 and 206 never reach a sink.
struct DownloadHead {
    uint64_t firstByte = 0;              // where the content begins: 0, or what was asked for
    std::optional<uint64_t> totalBytes;  // of the whole file, where the server says
    std::string validator;               // a strong ETag, else the date of the last change; empty: neither
};

// Takes what comes. A failure stops the download.
class DownloadSink {
  public:
    virtual ~DownloadSink() = default;
    // Once, before the first byte.
    virtual Check begin(const DownloadHead& head) = 0;
    virtual Check write(std::span<const std::byte> bytes) = 0;
};

struct DownloadResult {
    enum class End {
        Complete,
        Cut,         // may go better the next time: a broken connection, a server that has too much to do
        BeyondEnd,   // there is no byte at `firstByte`: the file is not longer, or another one
        Impossible,  // will not go better: no such file, a certificate that is not trusted, a sink that failed
    };
    End end = End::Complete;
    Failure failure = {};                // of Cut and Impossible
    std::optional<uint64_t> totalBytes;  // of BeyondEnd, where the server says
};

class Downloader {
  public:
    virtual ~Downloader() = default;
    // One attempt.
    virtual DownloadResult get(const DownloadRequest& request, DownloadSink& sink) = 0;
};

struct CurlSettings {
    std::chrono::milliseconds connectTimeout = std::chrono::seconds(30);
    std::chrono::seconds stallTimeout = std::chrono::seconds(30);  // with next to nothing arriving
    std::string certificates;       // a file of certificates that are trusted; empty: the system's
    std::string certificateFolder;  // likewise
};

// Whether this dunlin was built with libcurl.
bool canDownload();

// With libcurl: follows redirects, but none from https to http; goes through the proxy that the environment names
// (https_proxy, ALL_PROXY, NO_PROXY ...). WrongUse where this dunlin was built without libcurl.
Outcome<std::unique_ptr<Downloader>> makeCurlDownloader(const CurlSettings& settings);

}  // namespace dunlin::cli
