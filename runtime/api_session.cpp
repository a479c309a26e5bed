// dunlin.h: sessions and blocking runs.
#include <algorithm>
#include <cinttypes>
#include <span>
#include <string>
#include <vector>

#include "dunlin/dunlin.h"
#include "models/registry.h"
#include "runtime/api_support.h"
#include "runtime/backend.h"
#include "runtime/cpu/cpu_session.h"

namespace dunlin::api {
namespace {

constexpr uint32_t kDefaultTopK = 5;
constexpr uint32_t kDefaultInputKinds = DUNLIN_INPUT_PICTURES | DUNLIN_INPUT_TENSOR;
constexpr uint32_t kAllInputKinds = kDefaultInputKinds | DUNLIN_INPUT_IMAGE;

Status checkRange(const char* what, uint32_t value, uint32_t least, uint32_t most) {
    if (value >= least && value <= most) return {};
    return error(StatusCode::InvalidArgument, "%s is %u, but must be %u to %u", what, value, least, most);
}

uint32_t valueOr(uint32_t value, uint32_t whenZero) {
    return value ? value : whenZero;
}

Result<Precision> choosePrecision(const Device& device, DunlinPrecision precision) {
    switch (precision) {
        case DUNLIN_PRECISION_FP32:
            return Precision::Fp32;
        case DUNLIN_PRECISION_FP16:
            return Precision::Fp16;
        case DUNLIN_PRECISION_AUTO: {
            const bool isGpu = device.vulkan && !device.vulkan->capabilities().isSoftware();
            return isGpu && device.vulkan->enabled().fp16() ? Precision::Fp16 : Precision::Fp32;
        }
        case DUNLIN_PRECISION_MAX_ENUM:
            break;
    }
    return error(StatusCode::InvalidArgument, "precision is %d, which is no DunlinPrecision",
                 static_cast<int>(precision));
}

// What the CPU does not have, in terms of the public options.
Status checkCpuOptions(const DunlinSessionOptions& options) {
    if (options.inputKinds & DUNLIN_INPUT_IMAGE) {
        return error(StatusCode::Unsupported, "the CPU takes pictures and tensors in host memory, no VkImage");
    }
    if (options.slots > 1) {
        return error(StatusCode::Unsupported, "%u slots were asked for, the CPU has 1", options.slots);
    }
    return {};
}

Result<SessionOptions> plainOptions(const Device& device, const OpenModel& model, const DunlinSessionOptions& options) {
    const PreprocessSpec& preprocess = model.model->data.preprocess;
    SessionOptions plain;
    DUNLIN_TRY(checkRange("batch", valueOr(options.batch, 1), 1, kMaxBatch));
    const uint32_t height = valueOr(options.height, static_cast<uint32_t>(preprocess.inputHeight));
    const uint32_t width = valueOr(options.width, static_cast<uint32_t>(preprocess.inputWidth));
    DUNLIN_TRY(checkRange("height", height, kMinInputSide, kMaxInputSide));
    DUNLIN_TRY(checkRange("width", width, kMinInputSide, kMaxInputSide));
    DUNLIN_TRY(checkRange("slots", valueOr(options.slots, 1), 1, vulkan::kMaxSlots));
    if (options.inputKinds & ~kAllInputKinds) {
        return error(StatusCode::InvalidArgument, "inputKinds is 0x%x, but only the bits 0x%x mean something",
                     options.inputKinds, kAllInputKinds);
    }
    plain.batch = static_cast<int>(valueOr(options.batch, 1));
    plain.height = static_cast<int>(height);
    plain.width = static_cast<int>(width);
    DUNLIN_ASSIGN(plain.precision, choosePrecision(device, options.precision));
    plain.topK = static_cast<int>(
        std::min(valueOr(options.topK, kDefaultTopK), static_cast<uint32_t>(model.model->data.classes)));
    if (options.fusion != DUNLIN_FUSION_DEFAULT && options.fusion != DUNLIN_FUSION_MAX) {
        return error(StatusCode::InvalidArgument, "fusion is %d, but must be %d or %d",
                     static_cast<int>(options.fusion), DUNLIN_FUSION_DEFAULT, DUNLIN_FUSION_MAX);
    }
    if (options.fusion == DUNLIN_FUSION_MAX) plain.fusion = FusionLevel::Max;
    if (options.tapCount > 0) DUNLIN_TRY(checkPresent(options.taps, "taps"));
    for (uint32_t i = 0; i < options.tapCount; ++i) {
        DUNLIN_TRY(checkPresent(options.taps[i], "a name in taps"));
        plain.taps.emplace_back(options.taps[i]);
    }
    if (options.progress) {
        plain.progress = [&options](float done) { return options.progress(options.progressUserData, done) != 0; };
    }
    return plain;
}

void fillInfo(const SessionOptions& plain, const DunlinSessionOptions& options, OpenSession& open) {
    DunlinSessionInfo& info = open.info;
    info = defaultsOf<DunlinSessionInfo>(DUNLIN_STRUCTURE_TYPE_SESSION_INFO);
    info.batch = static_cast<uint32_t>(plain.batch);
    info.height = static_cast<uint32_t>(plain.height);
    info.width = static_cast<uint32_t>(plain.width);
    info.precision = plain.precision == Precision::Fp16 ? DUNLIN_PRECISION_FP16 : DUNLIN_PRECISION_FP32;
    info.topK = static_cast<uint32_t>(plain.topK);
    info.slots = valueOr(options.slots, 1);
    info.inputKinds = valueOr(options.inputKinds, kDefaultInputKinds);
    info.outputCount = static_cast<uint32_t>(open.session->outputs().size());
    info.outputBytes = open.session->outputBytes();
    info.deviceBytes = open.session->deviceBytes();
    if (!open.vulkan) return;
    const vulkan::VulkanSessionInfo details = open.vulkan->info();
    info.dispatches = static_cast<uint32_t>(details.dispatches);
    info.barriers = static_cast<uint32_t>(details.barriers);
    info.pipelines = static_cast<uint32_t>(details.pipelines);
    info.tuningProblems = static_cast<uint32_t>(open.tuning.problems);
    info.tunedProblems = static_cast<uint32_t>(open.tuning.tuned);
    info.tuningFormsTried = static_cast<uint32_t>(open.tuning.formsTried);
    info.tuningFormsRejected = static_cast<uint32_t>(open.tuning.formsRejected);
    info.tuningMs = static_cast<uint32_t>(open.tuning.milliseconds);
}

uint32_t vulkanInputKinds(uint32_t inputKinds) {
    uint32_t kinds = 0;
    if (inputKinds & DUNLIN_INPUT_PICTURES) kinds |= vulkan::kInputPixels;
    if (inputKinds & DUNLIN_INPUT_TENSOR) kinds |= vulkan::kInputTensors;
    if (inputKinds & DUNLIN_INPUT_IMAGE) kinds |= vulkan::kInputImages;
    return kinds;
}

Status createOnVulkan(const SessionOptions& plain, const DunlinSessionOptions& options, OpenSession& open) {
    vulkan::VulkanSessionOptions vulkanOptions;
    vulkanOptions.session = plain;
    vulkanOptions.slots = static_cast<int>(valueOr(options.slots, 1));
    vulkanOptions.inputKinds = vulkanInputKinds(valueOr(options.inputKinds, kDefaultInputKinds));
    if (options.memoryLimitBytes) vulkanOptions.memoryLimitBytes = options.memoryLimitBytes;
    const std::shared_ptr<const Model>& model = open.model->model;
    const std::shared_ptr<const ModelData> data(model, &model->data);
    DUNLIN_ASSIGN(tuning::TunedSession tuned,
                  tuning::createTunedSession(*open.device->backend, *open.device->tuner, data, vulkanOptions,
                                             static_cast<double>(options.tuningBudgetMs)));
    open.vulkan = tuned.session.get();
    open.session = std::move(tuned.session);
    open.tuning = tuned.report;
    return {};
}

Status create(const DunlinSessionOptions& options, OpenSession& open) {
    DUNLIN_ASSIGN(const SessionOptions plain, plainOptions(*open.device, *open.model, options));
    if (open.device->vulkan) {
        DUNLIN_TRY(createOnVulkan(plain, options, open));
    } else {
        DUNLIN_TRY(checkCpuOptions(options));
        DUNLIN_ASSIGN(open.session, createCpuSession(open.model->model->data, plain, open.device->threads));
    }
    fillInfo(plain, options, open);
    return {};
}

void fillOutput(const OpenSession& open, size_t index, DunlinOutputInfo& info) {
    const OutputSlice& output = open.session->outputs()[index];
    info.name = output.name.c_str();
    info.type = output.isInteger ? DUNLIN_ELEMENT_TYPE_UINT32 : DUNLIN_ELEMENT_TYPE_FLOAT32;
    const int shape[] = {output.shape.n, output.shape.h, output.shape.w, output.shape.c};
    std::ranges::copy(shape, info.shape);
    info.offsetBytes = output.offsetBytes;
    info.sizeBytes = output.sizeBytes;
}

Result<size_t> findOutput(const OpenSession& open, const char* name) {
    const auto outputs = open.session->outputs();
    std::string names;
    for (size_t i = 0; i < outputs.size(); ++i) {
        if (outputs[i].name == name) return i;
        names += (i ? ", " : "") + outputs[i].name;
    }
    return error(StatusCode::UnknownName, "there is no output '%s'; the session gives %s", name, names.c_str());
}

Result<PixelView> checkPicture(const DunlinPicture& picture) {
    DUNLIN_TRY(checkPresent(picture.pixels, "DunlinPicture::pixels"));
    DUNLIN_TRY(checkRange("a picture's width", picture.width, 1, vulkan::kMaxPictureSide));
    DUNLIN_TRY(checkRange("a picture's height", picture.height, 1, vulkan::kMaxPictureSide));
    const size_t tight = size_t{picture.width} * 4;
    const size_t rowBytes = picture.rowBytes ? picture.rowBytes : tight;
    if (rowBytes < tight || rowBytes % 4 != 0) {
        return error(StatusCode::InvalidArgument,
                     "a picture's rowBytes is %zu, but must be a multiple of 4 and at least %zu", rowBytes, tight);
    }
    return PixelView{picture.pixels, static_cast<int>(picture.width), static_cast<int>(picture.height), rowBytes};
}

Status run(OpenSession& open, const DunlinHostInput& input, std::span<std::byte> output) {
    DUNLIN_TRY(checkOutputBytes(open, output.size()));
    const bool isTensor = input.tensorElements > 0;
    if (isTensor == (input.pictureCount > 0)) {
        return error(StatusCode::InvalidArgument, "the input has %u pictures and %zu tensor elements: one must be 0",
                     input.pictureCount, input.tensorElements);
    }
    const uint32_t kind = isTensor ? DUNLIN_INPUT_TENSOR : DUNLIN_INPUT_PICTURES;
    if (!(open.info.inputKinds & kind)) {
        return error(StatusCode::InvalidArgument, "the session was created without the input kind 0x%x, only 0x%x",
                     kind, open.info.inputKinds);
    }
    const auto outputBytes = output.first(static_cast<size_t>(open.info.outputBytes));
    if (isTensor) {
        const size_t elements = size_t{open.info.batch} * 3 * open.info.height * open.info.width;
        DUNLIN_TRY(checkPresent(input.tensor, "DunlinHostInput::tensor"));
        if (input.tensorElements != elements) {
            return error(StatusCode::InvalidArgument, "the tensor has %zu elements, but %u x 3 x %u x %u are %zu",
                         input.tensorElements, open.info.batch, open.info.height, open.info.width, elements);
        }
        return open.session->run({{}, {input.tensor, elements}}, outputBytes);
    }
    DUNLIN_TRY(checkPresent(input.pictures, "DunlinHostInput::pictures"));
    if (input.pictureCount != open.info.batch) {
        return error(StatusCode::InvalidArgument, "%u pictures were given, but the session's batch is %u",
                     input.pictureCount, open.info.batch);
    }
    std::vector<PixelView> pictures;
    for (uint32_t i = 0; i < input.pictureCount; ++i) {
        DUNLIN_ASSIGN(const PixelView picture, checkPicture(input.pictures[i]));
        pictures.push_back(picture);
    }
    return open.session->run({pictures, {}}, outputBytes);
}

}  // namespace

Status checkOutputBytes(const OpenSession& open, size_t bytes) {
    if (bytes >= open.info.outputBytes) return {};
    return error(StatusCode::InvalidArgument, "the output has %zu bytes, but %" PRIu64 " are needed", bytes,
                 open.info.outputBytes);
}

}  // namespace dunlin::api

using namespace dunlin;
using namespace dunlin::api;

DunlinStatus dunlinCreateSession(DunlinDevice device, DunlinModel model, const DunlinSessionOptions* options,
                                 DunlinSession* session, DunlinError* error) {
    return guarded(error, [&]() -> Status {
        DUNLIN_TRY(checkPresent(session, "session"));
        *session = nullptr;
        DUNLIN_TRY(checkPresent(device, "device"));
        DUNLIN_TRY(checkPresent(model, "model"));
        const auto defaults = defaultsOf<DunlinSessionOptions>(DUNLIN_STRUCTURE_TYPE_SESSION_OPTIONS);
        const DunlinSessionOptions& chosen = options ? *options : defaults;
        DUNLIN_TRY(checkHead(&chosen, DUNLIN_STRUCTURE_TYPE_SESSION_OPTIONS, "DunlinSessionOptions"));
        auto created = std::make_unique<DunlinSession_T>();
        created->device = device->device;
        created->model = model->open;
        DUNLIN_TRY(create(chosen, *created));
        *session = created.release();
        return {};
    });
}

void dunlinDestroySession(DunlinSession session) {
    delete session;
}

DunlinStatus dunlinGetSessionInfo(DunlinSession session, DunlinSessionInfo* info, DunlinError* error) {
    return guarded(error, [&]() -> Status {
        DUNLIN_TRY(checkPresent(session, "session"));
        DUNLIN_TRY(checkHead(info, DUNLIN_STRUCTURE_TYPE_SESSION_INFO, "DunlinSessionInfo"));
        *info = session->info;
        return {};
    });
}

DunlinStatus dunlinGetOutputInfo(DunlinSession session, uint32_t index, DunlinOutputInfo* info, DunlinError* error) {
    return guarded(error, [&]() -> Status {
        DUNLIN_TRY(checkPresent(session, "session"));
        DUNLIN_TRY(checkHead(info, DUNLIN_STRUCTURE_TYPE_OUTPUT_INFO, "DunlinOutputInfo"));
        DUNLIN_TRY(checkRange("index", index, 0, session->info.outputCount - 1));
        fillOutput(*session, index, *info);
        return {};
    });
}

DunlinStatus dunlinFindOutput(DunlinSession session, const char* name, DunlinOutputInfo* info, DunlinError* error) {
    return guarded(error, [&]() -> Status {
        DUNLIN_TRY(checkPresent(session, "session"));
        DUNLIN_TRY(checkPresent(name, "name"));
        DUNLIN_TRY(checkHead(info, DUNLIN_STRUCTURE_TYPE_OUTPUT_INFO, "DunlinOutputInfo"));
        DUNLIN_ASSIGN(const size_t index, findOutput(*session, name));
        fillOutput(*session, index, *info);
        return {};
    });
}

DunlinStatus dunlinRun(DunlinSession session, const DunlinHostInput* input, void* output, size_t outputBytes,
                       DunlinError* error) {
    return guarded(error, [&]() -> Status {
        DUNLIN_TRY(checkPresent(session, "session"));
        DUNLIN_TRY(checkHead(input, DUNLIN_STRUCTURE_TYPE_HOST_INPUT, "DunlinHostInput"));
        DUNLIN_TRY(checkPresent(output, "output"));
        return run(*session, *input, {static_cast<std::byte*>(output), outputBytes});
    });
}
