// What a network answers to many picture files: read ahead on other threads, run in batches, given in order. The part
// that classify and evaluate share. Nothing but the public interface.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <vector>

#include "tools/dunlin/files.h"
#include "tools/dunlin/library.h"
#include "tools/dunlin/output.h"
#include "tools/dunlin/picture.h"

namespace dunlin::cli {

// One picture with its likeliest classes, or why there are none.
struct Answer {
    std::string file;
    Outcome<Picture> picture;
    Outcome<std::vector<Prediction>> top;
};

struct AnswerTotals {
    size_t answered = 0;
    double networkSeconds = 0;             // in the network, pictures being prepared included; without decoding
    ExitStatus status = ExitStatus::Done;  // the gravest of the pictures that have no answer
    Check stopped;                         // why the rest has none
};

// The files that may be pictures, in order.
std::vector<std::string> readableOf(const std::vector<InputFile>& files);

// Calls `take` with the answer to each file, in order, on the calling thread; pictures that cannot be read do not stop
// the others. `progress` is told how much is done before the answers of each batch are given. At most a few batches of
// pictures are in memory.
AnswerTotals answerPictures(const std::vector<InputFile>& files, const DunlinDeviceInfo& device, OpenedSession& session,
                            ProgressBar& progress, const std::function<void(const Answer&)>& take);

// On stderr, where the files do not say how pictures are prepared: what was assumed.
void printDoubts(const OpenedModel& model);

}  // namespace dunlin::cli
