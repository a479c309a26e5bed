// How whole networks are measured beside one another: warm-up until nothing changes any more, then turns.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "tools/bench/network_session.h"

namespace dunlin::bench {

struct Pace {
    // For a run's blocking times; its frames in flight take half as long again. Time is what the samples add
    // up to; those of the GPU's clock count for the wall's at least.
    double seconds = 2;
    size_t minSamples = 10;
    size_t maxSamples = 100000;  // more would say no more
};

// What was measured of a run, in the order taken.
struct ModelSamples {
    std::vector<double> wallMs, gpuMs;
    std::vector<std::vector<double>> layerNs;  // of runs of their own, by layer
    std::vector<double> submitCpuUs, submitWallUs;
    std::vector<double> frameMs2, frameMs3;
    size_t warmUps = 0;
    bool isSteady = true;          // after them, else they were cut short
    bool isGpuClockStill = false;  // it said that nothing passed: then there is nothing of it
};

struct MeasuredRun {
    std::string id;
    const void* device = nullptr;  // runs on one device are lost together
    std::unique_ptr<NetworkSession> session;
    ModelSamples samples;
    Status failure;  // the run was given up then
};

struct MeasurementHooks {
    std::function<void(double share, const std::string& id)> progress;
    std::function<bool()> isInterrupted;  // then the turn that has begun is the last
    // After each round; true where it took its time, so that caches and clocks are others than before.
    std::function<bool()> checkpoint;
};

// Whether there is enough in it for a row, were the run to end here.
bool isWorthKeeping(const ModelSamples& samples);

// Runs take turns of some milliseconds in an order that rotates, so that drift hits all alike; a turn begins with a run
// that does not count, where it is short enough for another network's data in the caches to matter. When one fails,
// the others go on; when one loses its device, those on other devices do.
void measureInTurns(std::vector<MeasuredRun>& runs, const Pace& pace, const MeasurementHooks& hooks);

}  // namespace dunlin::bench
