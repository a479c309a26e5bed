// What the files of the glue share: handles, checks of what callers hand in, and errors on their way out.
#pragma once

#include <algorithm>
#include <cstddef>
#include <exception>
#include <initializer_list>
#include <memory>
#include <new>
#include <optional>
#include <string>
#include <string_view>

#include "dunlin/dunlin.h"
#include "models/model.h"
#include "runtime/backend.h"
#include "runtime/status.h"
#include "runtime/tuning/tuner.h"
#include "runtime/vulkan/backend.h"
#include "runtime/vulkan/device.h"
#include "runtime/vulkan/session.h"

namespace dunlin::api {

// A device to run on: `vulkan` is null for the CPU.
struct Device {
    std::optional<VkAllocationCallbacks> allocator;  // a copy of the caller's; first, since `vulkan` frees with it
    std::shared_ptr<vulkan::VulkanDevice> vulkan;
    std::unique_ptr<vulkan::VulkanBackend> backend;  // of `vulkan`
    std::unique_ptr<tuning::Tuner> tuner;            // of `backend`
    std::string id;
    int threads = 0;
};

// A model and what is computed of it once.
struct OpenModel {
    std::shared_ptr<const Model> model;
    uint64_t parameters = 0, macs = 0;
};

// `session` is `vulkan` or a CPU session.
struct OpenSession {
    std::shared_ptr<Device> device;
    std::shared_ptr<const OpenModel> model;
    std::unique_ptr<Session> session;
    vulkan::VulkanSession* vulkan = nullptr;
    tuning::TuningReport tuning;
    DunlinSessionInfo info{};
};

}  // namespace dunlin::api

struct DunlinDevice_T {
    std::shared_ptr<dunlin::api::Device> device;
};
struct DunlinModel_T {
    std::shared_ptr<const dunlin::api::OpenModel> open;
};
struct DunlinSession_T : dunlin::api::OpenSession {};

namespace dunlin::api {

// Copies text into a fixed array, cut after a whole UTF-8 character.
void copyText(std::string_view text, char* destination, size_t size);
template <size_t size>
void copyText(std::string_view text, char (&destination)[size]) {
    copyText(text, destination, size);
}

// Hands a status to the caller.
DunlinStatus report(const Status& status, DunlinError* error);

// Runs the body of a public function: no exception leaves it, and its status is reported.
template <typename Body>
DunlinStatus guarded(DunlinError* error, Body&& body) noexcept {
    try {
        return report(body(), error);
    } catch (const std::bad_alloc&) {
        if (error) copyText("the host is out of memory", error->message);
        return DUNLIN_ERROR_OUT_OF_HOST_MEMORY;
    } catch (const std::exception& exception) {
        if (error) copyText(exception.what(), error->message);
        return DUNLIN_ERROR_DEVICE;
    } catch (...) {  // from a caller's callback
        if (error) copyText("a callback threw something that is no std::exception", error->message);
        return DUNLIN_ERROR_DEVICE;
    }
}

// The start of every structure.
struct StructureHead {
    DunlinStructureType sType;
    const void* pNext;
};

// A structure of `type` whose pNext chain has only structures of `extensions`.
Status checkHead(const void* structure, DunlinStructureType type, const char* name,
                 std::initializer_list<DunlinStructureType> extensions = {});
// The structure of `type` in a chain, or null.
const void* findExtension(const void* next, DunlinStructureType type);
Status checkPresent(const void* pointer, const char* name);
// Room for all outputs of a session.
Status checkOutputBytes(const OpenSession& open, size_t bytes);

// The shared form of the enumerating functions: `fill(index, element)` for each that fits.
template <typename Info, typename Fill>
Status enumerate(size_t available, uint32_t* count, Info* infos, DunlinStructureType type, const char* name,
                 Fill&& fill) {
    if (!infos) {
        *count = static_cast<uint32_t>(available);
        return {};
    }
    const auto written = static_cast<uint32_t>(std::min<size_t>(*count, available));
    for (uint32_t i = 0; i < written; ++i) DUNLIN_TRY(checkHead(&infos[i], type, name));
    for (uint32_t i = 0; i < written; ++i) fill(i, infos[i]);
    *count = written;
    return {};
}

// A structure with every field at its default.
template <typename T>
T defaultsOf(DunlinStructureType type) {
    T structure{};
    structure.sType = type;
    return structure;
}

inline std::string textOrEmpty(const char* text) {
    return text ? text : "";
}

}  // namespace dunlin::api
