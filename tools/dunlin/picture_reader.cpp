#include "tools/dunlin/picture_reader.h"

#include <algorithm>
#include <new>
#include <system_error>
#include <utility>

namespace dunlin::cli {
namespace {

// Decoded pictures that wait, beyond which no further one is begun.
constexpr size_t kMaxWaitingBytes = size_t{1} << 29;

size_t bytesOf(const Outcome<Picture>& picture) {
    return picture.ok() ? picture->pixels.size() : 0;
}

Outcome<Picture> readOne(const std::string& file) {
    try {
        return readPicture(file);
    } catch (const std::bad_alloc&) {
        return Failure{ExitStatus::DeviceFailed, file + ": no memory to decode it"};
    }
}

}  // namespace

PictureReader::PictureReader(std::vector<std::string> files, size_t threads, size_t ahead, Pace pace)
    : files_(std::move(files)), ahead_(ahead), pace_(pace) {
    const size_t wanted = std::min(threads, files_.size());
    workers_.reserve(wanted);
    try {
        while (workers_.size() < wanted) workers_.emplace_back([this] { work(); });
    } catch (const std::system_error&) {
        // The system gives no more threads: those that there are do the work, or next() does where there is none.
    }
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
    if (taken_ >= wanted_) {
        wanted_ = taken_ + ahead_;
        changed_.notify_all();
    }
    changed_.wait(lock, [&] { return !waiting_.empty() && waiting_.front().has_value(); });
    Outcome<Picture> picture = *std::move(waiting_.front());
    waiting_.pop_front();
    waitingBytes_ -= bytesOf(picture);
    ++taken_;
    lock.unlock();
    changed_.notify_all();
    return picture;
}

bool PictureReader::mayBegin() const {
    // The one that is wanted next is always begun: nothing else would make room.
    const bool room = waiting_.empty() || (begun_ - taken_ < ahead_ && waitingBytes_ < kMaxWaitingBytes);
    return room && (pace_ == Pace::Ahead || begun_ < wanted_);
}

void PictureReader::work() {
    for (std::unique_lock lock(mutex_);;) {
        changed_.wait(lock, [&] { return stopped_ || begun_ == files_.size() || mayBegin(); });
        if (stopped_ || begun_ == files_.size()) return;
        const size_t file = begun_++;
        waiting_.emplace_back();
        lock.unlock();
        Outcome<Picture> picture = readOne(files_[file]);
        lock.lock();
        waitingBytes_ += bytesOf(picture);
        waiting_[file - taken_] = std::move(picture);
        changed_.notify_all();
    }
}

}  // namespace dunlin::cli
