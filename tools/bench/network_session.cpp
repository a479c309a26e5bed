// What all sessions have in common, and networks on the CPU.
#include "tools/bench/network_session.h"
#include "runtime/cpu/cpu_session.h"
#include "tools/bench/bench_picture.h"
#include "tools/bench/roofline.h"

namespace dunlin::bench {
namespace {

using Clock = std::chrono::steady_clock;

class CpuNetworkSession final : public NetworkSession {
  public:
    CpuNetworkSession(std::unique_ptr<Session> session, const ModelRun& run)
        : session_(std::move(session)), pictures_(run.input), output_(session_->outputBytes()) {
        facts_.deviceBytes = session_->deviceBytes();
        facts_.costs = nodeCosts(*run.graph);
        facts_.waits.assign(facts_.costs.size(), true);
    }

    const SessionFacts& facts() const override { return facts_; }
    bool hasGpuClock() const override { return false; }
    Result<double> runMs() override {
        const Clock::time_point begin = Clock::now();
        DUNLIN_TRY(session_->run(pictures_.input(), output_));
        return std::chrono::duration<double, std::milli>(Clock::now() - begin).count();
    }
    Result<double> gpuMs() override { return notThere("clock of a GPU"); }
    Result<std::vector<double>> layerTimesNs() override { return notThere("layers that are timed by themselves"); }
    Result<double> frameMs(int, int) override { return notThere("frames in flight"); }
    Result<SubmitTime> submitTime() override { return notThere("submissions"); }
    Result<TracedFrame> traceFrame() override {
        TracedFrame frame;
        frame.recordBegin = frame.submitBegin = frame.waitBegin = frame.gpuBegin = Clock::now();
        DUNLIN_TRY(session_->run(pictures_.input(), output_));
        frame.end = Clock::now();
        return frame;
    }

  private:
    static Status notThere(const char* what) { return error(StatusCode::Unsupported, "the CPU has no %s", what); }

    std::unique_ptr<Session> session_;
    HostPictures pictures_;
    std::vector<std::byte> output_;
    SessionFacts facts_;
};

}  // namespace

HostPictures::HostPictures(const Shape& input)
    : pixels_(benchPicture(static_cast<uint32_t>(input.w), static_cast<uint32_t>(input.h))),
      views_(static_cast<size_t>(input.n),
             PixelView{pixels_.data(), input.w, input.h, static_cast<size_t>(input.w) * 4}) {}

Result<std::unique_ptr<NetworkSession>> openCpuSession(const ModelRun& run) {
    SessionOptions options;
    options.batch = run.input.n;
    options.height = run.input.h;
    options.width = run.input.w;
    options.precision = *run.precision;
    DUNLIN_ASSIGN(std::unique_ptr<Session> session,
                  createCpuSession(run.network->data, options, static_cast<int>(run.target->threads)));
    return std::unique_ptr<NetworkSession>(std::make_unique<CpuNetworkSession>(std::move(session), run));
}

}  // namespace dunlin::bench
