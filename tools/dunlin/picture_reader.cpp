#include "tools/dunlin/picture_reader.h"

#include <new>
#include <utility>

namespace dunlin::cli {
namespace {

Outcome<Picture> readOne(const std::string& file) {
    try {
        return readPicture(file);
    } catch (const std::bad_alloc&) {
        return Failure{ExitStatus::DeviceFailed, file + ": no memory to decode it"};
    }
}

}  // namespace

PictureReader::PictureReader(std::vector<std::string> files, size_t threads, size_t ahead)
    : files_(std::move(files)), ahead_(ahead) {
    for (size_t i = 0; i < threads && i < files_.size(); ++i) workers_.emplace_back([this] { work(); });
}

PictureReader::~PictureReader() {
    {
        const std::lock_guard lock(mutex_);
        stopped_ = true;
    }
    changed_.notify_all();
    for (std::thread& worker : workers_) worker.join();
}

Outcome<Picture> PictureReader::next() {
    if (workers_.empty()) return readOne(files_[taken_++]);
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return !waiting_.empty() && waiting_.front().has_value(); });
    Outcome<Picture> picture = *std::move(waiting_.front());
    waiting_.pop_front();
    ++taken_;
    lock.unlock();
    changed_.notify_all();
    return picture;
}

void PictureReader::work() {
    for (std::unique_lock lock(mutex_);;) {
        changed_.wait(lock, [&] { return stopped_ || begun_ == files_.size() || begun_ - taken_ < ahead_; });
        if (stopped_ || begun_ == files_.size()) return;
        const size_t file = begun_++;
        waiting_.emplace_back();
        lock.unlock();
        Outcome<Picture> picture = readOne(files_[file]);
        lock.lock();
        waiting_[file - taken_] = std::move(picture);
        changed_.notify_all();
    }
}

}  // namespace dunlin::cli
