// In the place of libcurl where this dunlin is built without it.
#include "tools/dunlin/download.h"
#include "tools/dunlin/pull_model.h"

namespace dunlin::cli {
namespace {

const Failure kNoDownload = {ExitStatus::WrongUse, "this dunlin was built without libcurl, so it cannot download"};

}  // namespace

bool canDownload() {
    return false;
}

Outcome<std::unique_ptr<Downloader>> makeCurlDownloader(const CurlSettings&) {
    return kNoDownload;
}

Outcome<PulledModel> pullModel(const ModelSource&, const PullSettings&, Downloader&) {
    return kNoDownload;
}

}  // namespace dunlin::cli
