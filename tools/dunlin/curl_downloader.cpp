// Downloads by libcurl.
#include <curl/curl.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <cstdlib>
#include <string_view>
#include <utility>

#include "dunlin/dunlin.h"
#include "tools/dunlin/download.h"
#include "tools/dunlin/pulled_models.h"

namespace dunlin::cli {
namespace {

constexpr long kMaxRedirects = 10;
// Slower than this for the stall timeout is as good as nothing.
constexpr long kStallBytesPerSecond = 128;

struct FreeHandle {
    void operator()(CURL* handle) const { curl_easy_cleanup(handle); }
};
struct FreeList {
    void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};
using Handle = std::unique_ptr<CURL, FreeHandle>;
using HeaderList = std::unique_ptr<curl_slist, FreeList>;

std::string lowered(std::string_view text) {
    std::string lower(text);
    std::transform(lower.begin(), lower.end(), lower.begin(),
                   [](unsigned char c) { return static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c); });
    return lower;
}

std::string_view trimmed(std::string_view text) {
    constexpr std::string_view kSpace = " \t\r\n";
    const size_t first = text.find_first_not_of(kSpace);
    if (first == std::string_view::npos) return {};
    return text.substr(first, text.find_last_not_of(kSpace) - first + 1);
}

// The whole text as a number.
std::optional<uint64_t> number(std::string_view text) {
    uint64_t value = 0;
    const auto [end, bad] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (bad != std::errc() || end != text.data() + text.size()) return {};
    return value;
}

// The headers of one answer; of a chain of redirects, the last.
struct Answer {
    long status = 0;
    std::string location, etag, lastModified, contentEncoding, contentRange;
    std::optional<uint64_t> contentLength;

    void addHeader(std::string_view line) {
        if (line.starts_with("HTTP/")) {
            *this = {};
            const size_t space = line.find(' ');
            if (space != std::string_view::npos) status = std::atol(std::string(line.substr(space + 1, 3)).c_str());
            return;
        }
        const size_t colon = line.find(':');
        if (colon == std::string_view::npos) return;
        const std::string name = lowered(trimmed(line.substr(0, colon)));
        const std::string_view value = trimmed(line.substr(colon + 1));
        if (name == "location") location = value;
        if (name == "etag") etag = value;
        if (name == "last-modified") lastModified = value;
        if (name == "content-encoding") contentEncoding = lowered(value);
        if (name == "content-range") contentRange = value;
        if (name == "content-length") contentLength = number(value);
    }

    // "bytes 100-199/200", "bytes */200"
    std::optional<uint64_t> rangeTotal() const {
        const size_t slash = contentRange.find('/');
        return slash == std::string::npos ? std::nullopt : number(std::string_view(contentRange).substr(slash + 1));
    }
    std::optional<uint64_t> rangeFirst() const {
        constexpr std::string_view kUnit = "bytes ";
        const size_t dash = contentRange.find('-');
        if (!contentRange.starts_with(kUnit) || dash == std::string::npos) return {};
        return number(std::string_view(contentRange).substr(kUnit.size(), dash - kUnit.size()));
    }
    // Weak ETags do not promise equal bytes, so no range may hang on one (RFC 9110, 13.1.5).
    std::string validator() const { return etag.starts_with('"') ? etag : lastModified; }
};

std::string reasonPhrase(long status) {
    switch (status) {
        case 401:
            return "this needs a password or token";
        case 403:
            return "access is forbidden";
        case 404:
        case 410:
            return "there is no such file";
        case 407:
            return "the proxy wants a password";
        case 429:
            return "too many requests";
        default:
            return status >= 500 ? "the server has a problem" : "this is no file";
    }
}

// A proxy's address without its name and password, which may have any character.
std::string withoutUser(const std::string& proxy) {
    const size_t at = proxy.rfind('@'), scheme = proxy.find("://");
    if (at == std::string::npos) return proxy;
    return (scheme == std::string::npos ? "" : proxy.substr(0, scheme + 3)) + proxy.substr(at + 1);
}

// The proxy that the environment names for this address, without its password; empty: none. As libcurl chooses it, but
// for NO_PROXY.
std::string proxyFromEnvironment(const std::string& url) {
    const std::array<const char*, 4> forHttps = {"https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"};
    const std::array<const char*, 4> forHttp = {"http_proxy", "http_proxy", "all_proxy", "ALL_PROXY"};
    for (const char* variable : url.starts_with("https:") ? forHttps : forHttp) {
        const char* value = std::getenv(variable);
        if (value == nullptr || *value == '\0') continue;
        return withoutUser(value);
    }
    return {};
}

// One attempt, as libcurl's callbacks see it.
class Transfer {
  public:
    Transfer(const DownloadRequest& request, const std::string& certificates, DownloadSink& sink)
        : request_(request), certificates_(certificates), sink_(sink) {}

    static size_t onHeader(char* data, size_t size, size_t count, void* self) {
        static_cast<Transfer*>(self)->answer_.addHeader({data, size * count});
        return size * count;
    }
    static size_t onBody(char* data, size_t size, size_t count, void* self) {
        Transfer& transfer = *static_cast<Transfer*>(self);
        return transfer.take({reinterpret_cast<const std::byte*>(data), size * count}) ? size * count : 0;
    }

    // `code` is how libcurl ended.
    DownloadResult result(CURLcode code, const char* reason, long proxyStatus) {
        if (failure_) return {DownloadResult::End::Impossible, *failure_, {}};
        if (proxyStatus >= 400) {
            return impossible(
                fmt::format("the proxy {} answers CONNECT with {}", proxyFromEnvironment(request_.url), proxyStatus));
        }
        if (code != CURLE_OK) return broken(code, reason);
        if (answer_.status == 416 && request_.firstByte > 0) {
            return {DownloadResult::End::BeyondEnd, {}, answer_.rangeTotal()};
        }
        if (answer_.status != 200 && answer_.status != 206) return refused();
        if (!begun_ && !begin()) return {DownloadResult::End::Impossible, *failure_, {}};
        return {};
    }

  private:
    DownloadResult impossible(const std::string& reason) const {
        return {DownloadResult::End::Impossible, because(reason), {}};
    }
    Failure because(const std::string& reason) const {
        return {ExitStatus::BadInput, fmt::format("{}: {}", shownUrl(request_.url), reason)};
    }

    bool take(std::span<const std::byte> bytes) {
        if (answer_.status != 200 && answer_.status != 206) return true;  // the text of a redirect or an error
        if (!begun_ && !begin()) return false;
        failure_ = sink_.write(bytes);
        return !failure_;
    }

    bool begin() {
        begun_ = true;
        DownloadHead head;
        head.validator = answer_.validator();
        if (answer_.status == 206) {
            const std::optional<uint64_t> first = answer_.rangeFirst();
            if (first != request_.firstByte) {
                failure_ = because(fmt::format("bytes from {} on were asked for, but the server sends \"{}\"",
                                               request_.firstByte, answer_.contentRange));
                return false;
            }
            head.firstByte = *first;
            head.totalBytes = answer_.rangeTotal();
        } else {
            head.totalBytes = answer_.contentLength;
        }
        if (!answer_.contentEncoding.empty() && answer_.contentEncoding != "identity") {
            failure_ =
                because(fmt::format("the server sends it packed ({}), which was not asked for and would have "
                                    "another hash",
                                    answer_.contentEncoding));
            return false;
        }
        failure_ = sink_.begin(head);
        return !failure_;
    }

    DownloadResult refused() const {
        const long status = answer_.status;
        const Failure failure = because(fmt::format("the server answers {}: {}", status, reasonPhrase(status)));
        const bool mayPass = status == 408 || status == 429 || (status >= 500 && status != 501);
        return {mayPass ? DownloadResult::End::Cut : DownloadResult::End::Impossible, failure, {}};
    }

    DownloadResult broken(CURLcode code, const char* reason) const {
        const std::string proxy = proxyFromEnvironment(request_.url);
        // Of what libcurl itself says about these, some has the password in it.
        if (std::string_view(reason).starts_with("Unsupported proxy")) {
            return impossible(
                fmt::format("the proxy {} that the environment names is no address of a kind that can be "
                            "used, like http://HOST:PORT",
                            proxy));
        }
        const std::string by = proxy.empty() ? "" : fmt::format(" (the environment names the proxy {})", proxy);
        switch (code) {
            case CURLE_UNSUPPORTED_PROTOCOL:
                if (answer_.location.empty()) return impossible(reason);
                return impossible(fmt::format("it redirects to {}, which is not followed: only https is, from https",
                                              shownUrl(answer_.location)));
            case CURLE_TOO_MANY_REDIRECTS:
                return impossible(fmt::format("it redirects more than {} times", kMaxRedirects));
            case CURLE_SSL_CACERT_BADFILE:
                return impossible(
                    fmt::format("the certificates to trust cannot be read: {}; install ca-certificates "
                                "or set CURL_CA_BUNDLE",
                                certificates_.empty() ? reason : certificates_));
            case CURLE_PEER_FAILED_VERIFICATION:
            case CURLE_SSL_ISSUER_ERROR:
            case CURLE_SSL_INVALIDCERTSTATUS:
            case CURLE_SSL_PINNEDPUBKEYNOTMATCH:
                return impossible(fmt::format("its certificate is not trusted: {}", reason));
            case CURLE_COULDNT_RESOLVE_PROXY:
#if LIBCURL_VERSION_NUM >= 0x074900
            case CURLE_PROXY:
#endif
                return impossible(fmt::format("the proxy {} does not work: {}", proxy, reason));
            case CURLE_URL_MALFORMAT:
            case CURLE_OUT_OF_MEMORY:
            case CURLE_NOT_BUILT_IN:
                return impossible(reason);
            default:
                return {DownloadResult::End::Cut, because(reason + by), {}};
        }
    }

    const DownloadRequest& request_;
    const std::string& certificates_;  // the file of them; empty: the system's
    DownloadSink& sink_;
    Answer answer_;
    bool begun_ = false;
    Check failure_;
};

void allowSchemes(CURL* handle, bool plain) {
#if LIBCURL_VERSION_NUM >= 0x075500
    const char* const schemes = plain ? "http,https" : "https";
    curl_easy_setopt(handle, CURLOPT_PROTOCOLS_STR, schemes);
    curl_easy_setopt(handle, CURLOPT_REDIR_PROTOCOLS_STR, schemes);
#else
    const long schemes = plain ? CURLPROTO_HTTP | CURLPROTO_HTTPS : CURLPROTO_HTTPS;
    curl_easy_setopt(handle, CURLOPT_PROTOCOLS, schemes);
    curl_easy_setopt(handle, CURLOPT_REDIR_PROTOCOLS, schemes);
#endif
}

class CurlDownloader final : public Downloader {
  public:
    CurlDownloader(Handle handle, CurlSettings settings) : handle_(std::move(handle)), settings_(std::move(settings)) {}

    DownloadResult get(const DownloadRequest& request, DownloadSink& sink) override {
        CURL* const handle = handle_.get();
        curl_easy_reset(handle);  // connections stay
        Transfer transfer(request, settings_.certificates, sink);
        std::array<char, CURL_ERROR_SIZE> reason = {};
        const HeaderList headers = headersOf(request);
        configure(request);
        curl_easy_setopt(handle, CURLOPT_HTTPHEADER, headers.get());
        curl_easy_setopt(handle, CURLOPT_ERRORBUFFER, reason.data());
        curl_easy_setopt(handle, CURLOPT_HEADERFUNCTION, Transfer::onHeader);
        curl_easy_setopt(handle, CURLOPT_HEADERDATA, &transfer);
        curl_easy_setopt(handle, CURLOPT_WRITEFUNCTION, Transfer::onBody);
        curl_easy_setopt(handle, CURLOPT_WRITEDATA, &transfer);
        const CURLcode code = curl_easy_perform(handle);
        long proxyStatus = 0;
        curl_easy_getinfo(handle, CURLINFO_HTTP_CONNECTCODE, &proxyStatus);
        curl_easy_setopt(handle, CURLOPT_ERRORBUFFER, nullptr);
        return transfer.result(code, reason[0] != '\0' ? reason.data() : curl_easy_strerror(code), proxyStatus);
    }

  private:
    HeaderList headersOf(const DownloadRequest& request) const {
        // Packed content would have another hash and other byte numbers.
        curl_slist* list = curl_slist_append(nullptr, "Accept-Encoding: identity");
        if (request.firstByte > 0 && !request.validator.empty()) {
            list = curl_slist_append(list, ("If-Range: " + request.validator).c_str());
        }
        return HeaderList(list);
    }

    void configure(const DownloadRequest& request) const {
        CURL* const handle = handle_.get();
        curl_easy_setopt(handle, CURLOPT_URL, request.url.c_str());
        allowSchemes(handle, request.url.starts_with("http://"));
        curl_easy_setopt(
            handle, CURLOPT_USERAGENT,
            fmt::format("dunlin/{}.{}.{}", DUNLIN_VERSION_MAJOR, DUNLIN_VERSION_MINOR, DUNLIN_VERSION_PATCH).c_str());
        curl_easy_setopt(handle, CURLOPT_NOSIGNAL, 1L);
        curl_easy_setopt(handle, CURLOPT_FOLLOWLOCATION, 1L);
        curl_easy_setopt(handle, CURLOPT_MAXREDIRS, kMaxRedirects);
        curl_easy_setopt(handle, CURLOPT_SSLVERSION, static_cast<long>(CURL_SSLVERSION_TLSv1_2));
        curl_easy_setopt(handle, CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(settings_.connectTimeout.count()));
        curl_easy_setopt(handle, CURLOPT_LOW_SPEED_LIMIT, kStallBytesPerSecond);
        curl_easy_setopt(handle, CURLOPT_LOW_SPEED_TIME, static_cast<long>(settings_.stallTimeout.count()));
        curl_easy_setopt(handle, CURLOPT_TIMEOUT_MS, static_cast<long>(request.timeLimit.count()));
        if (request.firstByte > 0) {
            // Not CURLOPT_RESUME_FROM, which takes the whole file of a server without ranges for an error.
            curl_easy_setopt(handle, CURLOPT_RANGE, fmt::format("{}-", request.firstByte).c_str());
        }
        if (!settings_.certificates.empty()) {
            curl_easy_setopt(handle, CURLOPT_CAINFO, settings_.certificates.c_str());
        }
        if (!settings_.certificateFolder.empty()) {
            curl_easy_setopt(handle, CURLOPT_CAPATH, settings_.certificateFolder.c_str());
        }
    }

    Handle handle_;
    const CurlSettings settings_;
};

}  // namespace

bool canDownload() {
    return true;
}

Outcome<std::unique_ptr<Downloader>> makeCurlDownloader(const CurlSettings& settings) {
    static const CURLcode prepared = curl_global_init(CURL_GLOBAL_DEFAULT);  // once a process
    Handle handle(prepared == CURLE_OK ? curl_easy_init() : nullptr);
    if (!handle) return Failure{ExitStatus::DeviceFailed, "libcurl cannot be prepared"};
    return std::unique_ptr<Downloader>(std::make_unique<CurlDownloader>(std::move(handle), settings));
}

}  // namespace dunlin::cli
