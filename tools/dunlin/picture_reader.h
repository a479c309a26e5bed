// Pictures read and decoded, on other threads ahead of their use or when they are wanted.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "tools/dunlin/picture.h"

namespace dunlin::cli {

// Gives the pictures of `files` in their order, whoever finishes first. At most `ahead` pictures wait for use at a
// time, and large ones not even so many. Without threads each is decoded by next(); where the system gives fewer than
// `threads`, these do the work.
class PictureReader {
  public:
    enum class Pace {
        Ahead,     // whenever there is room
        OnDemand,  // `ahead` pictures when next() has none, then none until it has none again: the processors are the
                   // caller's in between
    };
    PictureReader(std::vector<std::string> files, size_t threads, size_t ahead, Pace pace = Pace::Ahead);
    ~PictureReader();  // stops; pictures not yet taken are dropped
    PictureReader(const PictureReader&) = delete;
    PictureReader& operator=(const PictureReader&) = delete;

    // The next picture, or why it could not be read; waits for it. To be called files.size() times, from one thread.
    Outcome<Picture> next();

  private:
    void work();
    bool mayBegin() const;

    const std::vector<std::string> files_;
    const size_t ahead_;
    const Pace pace_;
    std::mutex mutex_;
    std::condition_variable changed_;
    std::deque<std::optional<Outcome<Picture>>> waiting_;  // [0] is file number taken_; empty ones are being decoded
    size_t taken_ = 0;                                     // by next()
    size_t begun_ = 0;                                     // by workers
    size_t wanted_ = 0;                                    // on demand: how many files may be begun so far
    size_t waitingBytes_ = 0;                              // of decoded pictures in waiting_
    bool stopped_ = false;
    std::vector<std::thread> workers_;
};

}  // namespace dunlin::cli
