// C++20 over dunlin.h: owning handles, spans and strings, errors as values. No logic of its own, so the rules of
// dunlin.h (threads, lifetimes, units, errors) are the rules here; what takes Vulkan objects is in dunlin_vulkan.hpp.
// Throws nothing but std::bad_alloc.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "dunlin.h"

namespace dunlin {
inline namespace v1 {

// Why there is no value: a status other than DUNLIN_SUCCESS and a sentence.
struct Error {
    DunlinStatus status = DUNLIN_SUCCESS;
    std::string message = {};
};

// A value, or the error that kept it from being. Test before use: `if (!result) report(result.error());`.
template <typename T>
class [[nodiscard]] Expected {
  public:
    Expected(T value) : value_(std::move(value)) {}
    Expected(Error error) : error_(std::move(error)) {}

    explicit operator bool() const { return value_.has_value(); }
    T& operator*() & { return *value_; }
    const T& operator*() const& { return *value_; }
    T&& operator*() && { return *std::move(value_); }
    T* operator->() { return &*value_; }
    const T* operator->() const { return &*value_; }
    const Error& error() const { return error_; }

  private:
    std::optional<T> value_;
    Error error_;
};

template <>
class [[nodiscard]] Expected<void> {
  public:
    Expected() = default;
    Expected(Error error) : error_(std::move(error)) {}

    explicit operator bool() const { return error_.status == DUNLIN_SUCCESS; }
    const Error& error() const { return error_; }

  private:
    Error error_;
};

namespace detail {

// What `call(DunlinError*)` returned, as a value.
template <typename Call>
Expected<void> invoke(Call&& call) {
    DunlinError error;
    const DunlinStatus status = call(&error);
    if (status != DUNLIN_SUCCESS) return Error{status, error.message};
    return {};
}

// A structure that the library fills: `call(T*, DunlinError*)`.
template <typename T, typename Call>
Expected<T> query(DunlinStructureType type, Call&& call) {
    T info{};
    info.sType = type;
    if (auto done = invoke([&](DunlinError* error) { return call(&info, error); }); !done) return done.error();
    return info;
}

// Every element that `enumerate(uint32_t*, T*, DunlinError*)` has.
template <typename T, typename Enumerate>
Expected<std::vector<T>> list(DunlinStructureType type, Enumerate&& enumerate) {
    uint32_t count = 0;
    if (auto done = invoke([&](DunlinError* error) { return enumerate(&count, nullptr, error); }); !done) {
        return done.error();
    }
    T empty{};
    empty.sType = type;
    std::vector<T> infos(count, empty);
    auto done = invoke([&](DunlinError* error) { return enumerate(&count, infos.data(), error); });
    if (!done) return done.error();
    infos.resize(count);
    return infos;
}

inline const char* orNull(const std::string& text) {
    return text.empty() ? nullptr : text.c_str();
}

// Sole owner of a handle.
template <typename T, void (*destroy)(T)>
class Handle {
  public:
    explicit Handle(T handle) : handle_(handle) {}
    Handle(Handle&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
    Handle& operator=(Handle&& other) noexcept {
        std::swap(handle_, other.handle_);
        return *this;
    }
    ~Handle() { destroy(handle_); }
    T get() const { return handle_; }

  private:
    T handle_;
};

}  // namespace detail

// An empty string or a zero means the default, as in the structures of dunlin.h with the same names.
struct DeviceOptions {
    std::string id = {};
    uint32_t threads = 0;
    bool validation = false;
    std::string cacheDirectory = {};
    DunlinMessageCallback messageCallback = nullptr;
    void* messageUserData = nullptr;
    std::string tuningCache = {};
    std::span<const std::byte> tuningCacheData = {};
    const void* next = nullptr;  // extensions: pNext
};

class Device {
  public:
    static Expected<std::vector<DunlinDeviceInfo>> list() {
        return detail::list<DunlinDeviceInfo>(DUNLIN_STRUCTURE_TYPE_DEVICE_INFO, dunlinEnumerateDevices);
    }

    static Expected<Device> create(const DeviceOptions& options = {}) {
        const DunlinDeviceOptions plain = {DUNLIN_STRUCTURE_TYPE_DEVICE_OPTIONS,
                                           options.next,
                                           detail::orNull(options.id),
                                           options.threads,
                                           options.validation,
                                           detail::orNull(options.cacheDirectory),
                                           options.messageCallback,
                                           options.messageUserData,
                                           detail::orNull(options.tuningCache),
                                           options.tuningCacheData.data(),
                                           options.tuningCacheData.size()};
        DunlinDevice device = nullptr;
        auto done = detail::invoke([&](DunlinError* error) { return dunlinCreateDevice(&plain, &device, error); });
        if (!done) return done.error();
        return Device(device);
    }

    Expected<DunlinDeviceInfo> info() const {
        return detail::query<DunlinDeviceInfo>(
            DUNLIN_STRUCTURE_TYPE_DEVICE_INFO,
            [&](DunlinDeviceInfo* info, DunlinError* error) { return dunlinGetDeviceInfo(handle(), info, error); });
    }

    DunlinDevice handle() const { return handle_.get(); }

  private:
    explicit Device(DunlinDevice device) : handle_(device) {}
    detail::Handle<DunlinDevice, dunlinDestroyDevice> handle_;
};

inline Expected<std::vector<DunlinArchitectureInfo>> architectures() {
    return detail::list<DunlinArchitectureInfo>(DUNLIN_STRUCTURE_TYPE_ARCHITECTURE_INFO, dunlinEnumerateArchitectures);
}

struct ModelOptions {
    std::string architecture = {};
    std::string weights = {};
    std::string modelArguments = {};
    // The content of a weights file and of its config.json, instead of files; see DunlinModelOptions::weightsData.
    std::span<const std::byte> weightsData = {};
    std::string config = {};
    const void* next = nullptr;
};

class Model {
  public:
    static Expected<Model> open(const std::string& name, const ModelOptions& options = {}) {
        const DunlinModelOptions plain = {DUNLIN_STRUCTURE_TYPE_MODEL_OPTIONS,
                                          options.next,
                                          detail::orNull(options.architecture),
                                          detail::orNull(options.weights),
                                          detail::orNull(options.modelArguments),
                                          options.weightsData.data(),
                                          options.weightsData.size(),
                                          detail::orNull(options.config)};
        DunlinModel model = nullptr;
        auto done =
            detail::invoke([&](DunlinError* error) { return dunlinOpenModel(name.c_str(), &plain, &model, error); });
        if (!done) return done.error();
        return Model(model);
    }

    Expected<DunlinModelInfo> info() const {
        return detail::query<DunlinModelInfo>(
            DUNLIN_STRUCTURE_TYPE_MODEL_INFO,
            [&](DunlinModelInfo* info, DunlinError* error) { return dunlinGetModelInfo(handle(), info, error); });
    }

    // Null where the model's files have no label for this class.
    const char* label(uint32_t classIndex) const { return dunlinGetModelLabel(handle(), classIndex); }

    DunlinModel handle() const { return handle_.get(); }

  private:
    explicit Model(DunlinModel model) : handle_(model) {}
    detail::Handle<DunlinModel, dunlinDestroyModel> handle_;
};

using Picture = DunlinPicture;

// A class and how likely it is, from 0 to 1.
struct Prediction {
    uint32_t classIndex;
    float probability;
};

// The output buffer of a run. Independent of the session, but for the names in info().
class Outputs {
  public:
    Outputs(std::vector<DunlinOutputInfo> infos, std::vector<std::byte> bytes)
        : infos_(std::move(infos)), bytes_(std::move(bytes)) {}

    std::span<const DunlinOutputInfo> info() const { return infos_; }
    std::span<const std::byte> bytes() const { return bytes_; }
    std::span<std::byte> bytes() { return bytes_; }

    // Output `index` (DUNLIN_OUTPUT_LOGITS, ...), all images; its elements are of type T.
    template <typename T = float>
    std::span<const T> values(uint32_t index) const {
        const DunlinOutputInfo& info = infos_[index];
        return {reinterpret_cast<const T*>(bytes_.data() + info.offsetBytes), info.sizeBytes / sizeof(T)};
    }

    // The likeliest classes of one image, likeliest first.
    std::vector<Prediction> top(uint32_t image = 0) const {
        const auto classes = values<uint32_t>(DUNLIN_OUTPUT_TOP_CLASSES);
        const auto probabilities = values(DUNLIN_OUTPUT_TOP_PROBABILITIES);
        const uint32_t k = infos_[DUNLIN_OUTPUT_TOP_CLASSES].shape[3];
        std::vector<Prediction> predictions;
        for (size_t i = size_t{image} * k; i < (size_t{image} + 1) * k; ++i) {
            predictions.push_back({classes[i], probabilities[i]});
        }
        return predictions;
    }

  private:
    std::vector<DunlinOutputInfo> infos_;
    std::vector<std::byte> bytes_;
};

struct SessionOptions {
    uint32_t batch = 0;
    uint32_t height = 0, width = 0;
    DunlinPrecision precision = DUNLIN_PRECISION_AUTO;
    uint32_t topK = 0;
    uint32_t slots = 0;
    uint32_t inputKinds = 0;
    std::vector<std::string> taps = {};
    uint64_t memoryLimitBytes = 0;
    std::function<bool(float)> progress = {};  // returning false cancels; must not throw nor call the library
    DunlinFusion fusion = DUNLIN_FUSION_DEFAULT;
    uint32_t tuningBudgetMs = 0;
    const void* next = nullptr;
};

class Session {
  public:
    static Expected<Session> create(const Device& device, const Model& model, const SessionOptions& options = {}) {
        std::vector<const char*> taps;
        for (const std::string& tap : options.taps) taps.push_back(tap.c_str());
        DunlinSessionOptions plain = {};
        plain.sType = DUNLIN_STRUCTURE_TYPE_SESSION_OPTIONS;
        plain.pNext = options.next;
        plain.batch = options.batch;
        plain.height = options.height;
        plain.width = options.width;
        plain.precision = options.precision;
        plain.topK = options.topK;
        plain.slots = options.slots;
        plain.inputKinds = options.inputKinds;
        plain.tapCount = static_cast<uint32_t>(taps.size());
        plain.taps = taps.data();
        plain.memoryLimitBytes = options.memoryLimitBytes;
        if (options.progress) plain.progress = forwardProgress;
        plain.progressUserData = const_cast<std::function<bool(float)>*>(&options.progress);
        plain.fusion = options.fusion;
        plain.tuningBudgetMs = options.tuningBudgetMs;
        DunlinSession handle = nullptr;
        auto done = detail::invoke([&](DunlinError* error) {
            return dunlinCreateSession(device.handle(), model.handle(), &plain, &handle, error);
        });
        if (!done) return done.error();
        Session session(handle);
        if (done = session.readOutputs(); !done) return done.error();
        return session;
    }

    Expected<DunlinSessionInfo> info() const {
        return detail::query<DunlinSessionInfo>(
            DUNLIN_STRUCTURE_TYPE_SESSION_INFO,
            [&](DunlinSessionInfo* info, DunlinError* error) { return dunlinGetSessionInfo(handle(), info, error); });
    }

    // By index: logits, probabilities, top classes, top probabilities, taps.
    std::span<const DunlinOutputInfo> outputs() const { return outputs_; }
    uint64_t outputBytes() const { return outputBytes_; }

    // One picture for each image of the batch.
    Expected<Outputs> run(std::span<const Picture> pictures) {
        return allocateAndRun([&](std::span<std::byte> output) { return run(pictures, output); });
    }
    Expected<Outputs> run(const Picture& picture) { return run(std::span(&picture, 1)); }
    // NCHW, normalised.
    Expected<Outputs> run(std::span<const float> tensor) {
        return allocateAndRun([&](std::span<std::byte> output) { return run(tensor, output); });
    }

    // The same into the caller's memory of at least outputBytes(), without allocating.
    Expected<void> run(std::span<const Picture> pictures, std::span<std::byte> output) {
        DunlinHostInput input = {};
        input.pictureCount = static_cast<uint32_t>(pictures.size());
        input.pictures = pictures.data();
        return run(input, output);
    }
    Expected<void> run(std::span<const float> tensor, std::span<std::byte> output) {
        DunlinHostInput input = {};
        input.tensorElements = tensor.size();
        input.tensor = tensor.data();
        return run(input, output);
    }

    DunlinSession handle() const { return handle_.get(); }

  private:
    explicit Session(DunlinSession session) : handle_(session) {}

    static DunlinBool forwardProgress(void* userData, float progress) {
        return (*static_cast<const std::function<bool(float)>*>(userData))(progress);
    }

    Expected<void> readOutputs() {
        auto session = info();
        if (!session) return session.error();
        outputBytes_ = session->outputBytes;
        for (uint32_t i = 0; i < session->outputCount; ++i) {
            auto output = detail::query<DunlinOutputInfo>(DUNLIN_STRUCTURE_TYPE_OUTPUT_INFO,
                                                          [&](DunlinOutputInfo* info, DunlinError* error) {
                                                              return dunlinGetOutputInfo(handle(), i, info, error);
                                                          });
            if (!output) return output.error();
            outputs_.push_back(*output);
        }
        return {};
    }

    Expected<void> run(DunlinHostInput& input, std::span<std::byte> output) {
        input.sType = DUNLIN_STRUCTURE_TYPE_HOST_INPUT;
        return detail::invoke(
            [&](DunlinError* error) { return dunlinRun(handle(), &input, output.data(), output.size(), error); });
    }

    template <typename Run>
    Expected<Outputs> allocateAndRun(Run&& runInto) {
        Outputs outputs(outputs_, std::vector<std::byte>(outputBytes_));
        if (auto done = runInto(outputs.bytes()); !done) return done.error();
        return outputs;
    }

    detail::Handle<DunlinSession, dunlinDestroySession> handle_;
    std::vector<DunlinOutputInfo> outputs_;
    uint64_t outputBytes_ = 0;
};

}  // namespace v1
}  // namespace dunlin
