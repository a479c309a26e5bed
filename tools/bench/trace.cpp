#include "tools/bench/trace.h"

#include <fmt/format.h>

#include <algorithm>

namespace dunlin::bench {
namespace {

using Time = TracedFrame::Time;

constexpr int kCpuThread = 1, kGpuThread = 2;

int64_t nanoseconds(Time begin, Time end) {
    return std::chrono::duration_cast<std::chrono::nanoseconds>(end - begin).count();
}

// Viewers keep whole nanoseconds.
double microseconds(int64_t ns) {
    return static_cast<double>(ns) / 1e3;
}

Json metadata(const char* what, int process, int thread, Json value) {
    const char* const field = std::string_view(what).ends_with("_sort_index") ? "sort_index" : "name";
    return {{"name", what}, {"ph", "M"}, {"pid", process}, {"tid", thread}, {"args", {{field, std::move(value)}}}};
}

class TraceWriter {
  public:
    explicit TraceWriter(Time origin) : origin_(origin) {}

    void addRun(const TracedRun& run) {
        ++process_;
        events_.push_back(metadata("process_name", process_, 0, run.id));
        events_.push_back(metadata("process_sort_index", process_, 0, process_));
        events_.push_back(metadata("thread_name", process_, kCpuThread, "CPU"));
        addHostSlices(run);
        if (run.frame.dispatchEnds.empty()) return;
        events_.push_back(metadata("thread_name", process_, kGpuThread, fmt::format("GPU: {}", run.device)));
        addDispatches(run);
    }
    Json events() && { return std::move(events_); }

  private:
    void addSlice(const std::string& name, const char* category, int thread, Time begin, Time end, Json arguments) {
        const int64_t from = nanoseconds(origin_, begin), to = nanoseconds(origin_, end);
        events_.push_back({{"name", name},
                           {"cat", category},
                           {"ph", "X"},
                           {"ts", microseconds(from)},
                           {"dur", microseconds(to - from)},
                           {"pid", process_},
                           {"tid", thread},
                           {"args", std::move(arguments)}});
    }

    void addHostSlices(const TracedRun& run) {
        const TracedFrame& frame = run.frame;
        if (run.isCpu) return addSlice("run", "cpu", kCpuThread, frame.recordBegin, frame.end, Json::object());
        addSlice("record", "cpu", kCpuThread, frame.recordBegin, frame.submitBegin,
                 {{"dispatches", run.layers.size()}});
        addSlice("submit", "cpu", kCpuThread, frame.submitBegin, frame.waitBegin, Json::object());
        addSlice("wait", "cpu", kCpuThread, frame.waitBegin, frame.end, Json::object());
    }

    void addDispatches(const TracedRun& run) {
        Time begin = run.frame.gpuBegin;
        for (size_t i = 0; i < run.frame.dispatchEnds.size(); ++i) {
            const Time end = run.frame.dispatchEnds[i];
            const Layer& layer = run.layers[i];
            const auto ns = static_cast<double>(nanoseconds(begin, end));
            Json arguments = {{"layer", layer.name},       {"shape", describe(layer.shape)},
                              {"kernel", layer.kernel},    {"variant", layer.variant},
                              {"bytes", layer.cost.bytes}, {"flops", layer.cost.flops}};
            if (ns > 0) {  // bytes and operations a nanosecond are GB/s and GFLOP/s
                arguments["gflops"] = static_cast<double>(layer.cost.flops) / ns;
                arguments["gbps"] = static_cast<double>(layer.cost.bytes) / ns;
                if (!run.limitsNs.empty()) arguments["rooflineShare"] = run.limitsNs[i] / ns;
            }
            addSlice(layer.name, "gpu", kGpuThread, begin, end, std::move(arguments));
            begin = end;
        }
    }

    Time origin_;
    int process_ = 0;
    Json events_ = Json::array();
};

std::string alignment(const TracedRun& run) {
    if (run.isCpu) return "on the CPU";
    if (run.frame.dispatchEnds.empty()) return "the device's queue has no timestamps that move: no GPU track";
    if (run.frame.calibrated) {
        return fmt::format("GPU and CPU are aligned by calibrated timestamps, to within {} ns",
                           run.frame.maxDeviationNs);
    }
    return "GPU and CPU are not aligned: the device has no calibrated timestamps, and its first dispatch is drawn as "
           "if "
           "it began with the submission";
}

}  // namespace

Json chromeTrace(std::span<const TracedRun> runs) {
    Time origin = Time::max();
    for (const TracedRun& run : runs) origin = std::min({origin, run.frame.recordBegin, run.frame.gpuBegin});
    TraceWriter writer(origin);
    Json notes = {{"program", "dunlin bench model"}};
    for (const TracedRun& run : runs) {
        writer.addRun(run);
        notes[run.id] = alignment(run);
    }
    return {{"displayTimeUnit", "ns"}, {"otherData", std::move(notes)}, {"traceEvents", std::move(writer).events()}};
}

}  // namespace dunlin::bench
