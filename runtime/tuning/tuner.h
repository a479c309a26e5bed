// Verified tuning (architecture.md, section 4): the forms of a network's kernels that are right and fastest on a
// device.
#pragma once

#include <functional>
#include <memory>
#include <mutex>

#include "runtime/tuning/verdict_store.h"
#include "runtime/vulkan/backend.h"

namespace dunlin::tuning {

// What became of one session's problems.
struct TuningReport {
    size_t problems = 0;  // distinct ones in the session's program
    size_t tuned = 0;     // of them, those with a verdict, from this call or known before
    // In this call, of blocks that might have been one dispatch too:
    size_t measured = 0;       // problems
    size_t formsTried = 0;     // run on the device
    size_t formsRejected = 0;  // wrong, or not repeatable
    double milliseconds = 0;   // that the call took
};

struct Tuned {
    std::shared_ptr<const FormTable> forms;  // for SessionOptions; null: there is nothing to say
    TuningReport report;
};

// One for a device, whose verdicts it keeps. Thread-safe: who tunes while another does waits, no longer than the
// budget; who only asks for what is known does not.
class Tuner {
  public:
    // Hears what is wrong with files and forms: a default form that is wrong on this driver is a Warning, other forms
    // and files are Info.
    using NoticeListener = vulkan::NoticeListener;
    // `backend` must outlive it.
    Tuner(vulkan::VulkanBackend& backend, const VerdictSources& sources, NoticeListener notify = {});

    // The forms for a session with these options, as far as they are worth their pipelines (plan_choice.h). What is
    // known already costs nothing; with `budgetMs` more than 0, problems without a verdict are tuned, those first that
    // take most of the network's time by default (tuning_order.h), until the time is up: the whole call takes about
    // that long at most, unless a default form is found wrong, for which a right one is looked for however long it
    // takes. Then plans are compared: where blocks may be one dispatch and FusionLevel::Default leaves the choice, the
    // faster one is taken. Runs on the device's queue, and needs memory for a few copies of a layer.
    // options.session.progress gets 0..1 of this call; false cancels.
    //
    // Errors: as VulkanBackend::createSession(); Cancelled; DeviceLost; DeviceError where no form of a kernel is right.
    Result<Tuned> tune(const std::shared_ptr<const ModelData>& model, const vulkan::VulkanSessionOptions& options,
                       double budgetMs);

    // Not while another thread tunes.
    const VerdictStore& store() const { return store_; }

  private:
    vulkan::VulkanBackend& backend_;
    NoticeListener notify_;
    std::timed_mutex tuning_;  // held by the one who tunes
    std::mutex storeMutex_;    // held for moments, by whoever reads or changes the store
    VerdictStore store_;
};

struct TunedSession {
    std::unique_ptr<vulkan::VulkanSession> session;
    TuningReport report;
};
// tune() and createSession(), which share the progress.
Result<TunedSession> createTunedSession(vulkan::VulkanBackend& backend, Tuner& tuner,
                                        const std::shared_ptr<const ModelData>& model,
                                        const vulkan::VulkanSessionOptions& options, double budgetMs);

}  // namespace dunlin::tuning
