#include "runtime/weights/torch_checkpoint.h"

#include <algorithm>
#include <cinttypes>
#include <unordered_map>

#include "runtime/weights/tensor_data.h"
#include "runtime/weights/unpickler.h"
#include "runtime/weights/zip_archive.h"

namespace dunlin {
namespace {

constexpr size_t kMaxTensors = 100'000;
constexpr int kMaxWrappers = 4;
// Under which training code puts a state dictionary: averaged weights first, as timm prefers them.
constexpr std::string_view kWrappers[] = {"state_dict_ema",   "model_ema", "state_dict",
                                          "model_state_dict", "model",     "net"};

constexpr std::string_view kZipStart = "PK\x03\x04";
constexpr char kPickleStart = '\x80';
// A pickled magic number opens every checkpoint of the format before zip.
constexpr std::string_view kLegacyStart = "\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19\x2e";

std::string_view asText(std::span<const std::byte> bytes) {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// Where a tensor's elements lie.
struct Layout {
    const std::byte* first = nullptr;
    std::vector<int64_t> strides;  // in elements
    bool contiguous = false;
};

bool isContiguous(const std::vector<int64_t>& shape, const std::vector<int64_t>& strides) {
    int64_t expected = 1;
    for (size_t i = shape.size(); i-- > 0;) {
        if (shape[i] != 1 && strides[i] != expected) return false;
        expected *= shape[i];  // the product was checked before
    }
    return true;
}

// Copies a tensor whose strides are anything, in row-major order.
void gather(DType dtype, const Layout& layout, const std::vector<int64_t>& shape, std::span<float> values) {
    const auto elementBytes = static_cast<int64_t>(elementSizeBytes(dtype));
    std::vector<int64_t> position(shape.size(), 0);
    int64_t offset = 0;
    for (float& value : values) {
        value = loadFloat(dtype, layout.first + offset * elementBytes);
        for (size_t i = shape.size(); i-- > 0;) {
            offset += layout.strides[i];
            if (++position[i] < shape[i]) break;
            offset -= layout.strides[i] * shape[i];
            position[i] = 0;
        }
    }
}

class TorchWeights final : public WeightsSource {
  public:
    explicit TorchWeights(FileBytes file) : file_(std::move(file)) {}

    // The layout must have been checked against the storage.
    void add(TensorInfo info, Layout layout) {
        tensors_.push_back(std::move(info));
        layouts_.push_back(std::move(layout));
    }

    Status index() {
        for (size_t i = 0; i < tensors_.size(); ++i) {
            if (byName_.emplace(tensors_[i].name, i).second) continue;
            return error(StatusCode::BadFile, "the state dictionary has %s twice", tensors_[i].name.c_str());
        }
        return {};
    }

    const std::vector<TensorInfo>& tensors() const override { return tensors_; }

    std::string placeOf(std::string_view name) const override { return file_.name + ": " + std::string(name); }

    Status read(std::string_view name, std::span<const int64_t> shape, std::span<float> values) const override {
        const auto found = byName_.find(name);
        if (found == byName_.end()) {
            return error(StatusCode::BadFile, "%s: has no tensor %s", file_.name.c_str(), printable(name).c_str());
        }
        const TensorInfo& tensor = tensors_[found->second];
        const Layout& layout = layouts_[found->second];
        DUNLIN_TRY(checkRead(tensor, shape, values.size()).withContext(file_.name));
        if (layout.contiguous || tensor.dtype == DType::I64) {
            return convertToFloat(tensor.dtype, layout.first, values).withContext(file_.name + ": " + tensor.name);
        }
        gather(tensor.dtype, layout, tensor.shape, values);
        return {};
    }

  private:
    FileBytes file_;
    std::vector<TensorInfo> tensors_;
    std::vector<Layout> layouts_;
    std::unordered_map<std::string_view, size_t> byName_;  // into the names of tensors_
};

// What every format comes to.
struct Checkpoint {
    Pickle pickle;                                                         // texts lie in the file
    std::unordered_map<std::string, std::span<const std::byte>> storages;  // by what messages call them
    std::string storagePrefix;                                             // before a key, in messages
};

// A checkpoint's archive: every entry lies in one folder whose name is the writer's choice.
struct Archive {
    std::string folder;  // "archive/"
    std::unordered_map<std::string, std::span<const std::byte>> entries;

    const std::span<const std::byte>* find(const std::string& name) const {
        const auto found = entries.find(folder + name);
        return found == entries.end() ? nullptr : &found->second;
    }
};

Result<Archive> openArchive(const FileBytes& file) {
    DUNLIN_ASSIGN(const std::vector<ZipEntry> entries, readZip(file.bytes));
    constexpr std::string_view kPickle = "data.pkl";
    Archive archive;
    bool found = false;
    for (const ZipEntry& entry : entries) {
        archive.entries.emplace(entry.name, entry.bytes);
        const size_t slash = entry.name.find('/');
        if (found || slash == std::string::npos || entry.name.substr(slash + 1) != kPickle) continue;
        archive.folder = entry.name.substr(0, slash + 1);
        found = true;
    }
    if (!found) return error(StatusCode::BadFile, "the zip archive has no data.pkl; it is no PyTorch checkpoint");
    if (archive.find("constants.pkl") != nullptr) {
        return error(StatusCode::BadFile, "it is a TorchScript program, not a checkpoint; save its state_dict()");
    }
    const auto* byteOrder = archive.find("byteorder");
    if (byteOrder != nullptr && asText(*byteOrder) != "little") {
        return error(StatusCode::BadFile, "its byte order is \"%s\"; only little-endian checkpoints can be read",
                     printable(asText(*byteOrder)).c_str());
    }
    return archive;
}

const PickleDict* wrappedDict(const Pickle& pickle, const PickleDict& dict) {
    for (const std::string_view wrapper : kWrappers) {
        for (const auto& [key, value] : dict.items) {
            const auto* text = pickle.get<std::string_view>(key);
            const auto* inner = pickle.get<PickleDict>(value);
            if (text != nullptr && *text == wrapper && inner != nullptr && !inner->items.empty()) return inner;
        }
    }
    return nullptr;
}

Result<const PickleDict*> findStateDict(const Pickle& pickle) {
    const auto* dict = pickle.get<PickleDict>(pickle.root);
    if (dict == nullptr) return error(StatusCode::BadFile, "the checkpoint holds no dictionary of tensors");
    for (int depth = 0; depth < kMaxWrappers; ++depth) {
        const PickleDict* inner = wrappedDict(pickle, *dict);
        if (inner == nullptr) break;
        dict = inner;
    }
    const bool hasTensor = std::ranges::any_of(
        dict->items, [&](const auto& item) { return pickle.get<PickleTensor>(item.second) != nullptr; });
    if (hasTensor) return dict;
    std::string keys;
    for (const auto& [key, value] : dict->items) {
        const auto* text = pickle.get<std::string_view>(key);
        if (text == nullptr || keys.size() > 80) continue;
        keys += (keys.empty() ? "" : ", ") + printable(*text);
    }
    return error(StatusCode::BadFile, "the checkpoint holds no tensors under %s",
                 keys.empty() ? "any key" : keys.c_str());
}

// The index of a tensor's last element in its storage; nothing where that overflows.
std::optional<int64_t> lastElement(const PickleTensor& tensor) {
    int64_t last = tensor.offset;
    for (size_t i = 0; i < tensor.shape.size(); ++i) {
        int64_t extent = 0;
        if (__builtin_mul_overflow(tensor.shape[i] - 1, tensor.strides[i], &extent)) return std::nullopt;
        if (__builtin_add_overflow(last, extent, &last)) return std::nullopt;
    }
    return last;
}

Result<Layout> locate(const Checkpoint& checkpoint, const std::string& name, const PickleTensor& tensor) {
    const PickleStorage& storage = tensor.storage;
    const std::string entry = checkpoint.storagePrefix + std::string(storage.key);
    const auto found = checkpoint.storages.find(entry);
    if (found == checkpoint.storages.end()) {
        return error(StatusCode::BadFile, "%s lies in %s, which the file does not have", name.c_str(),
                     printable(entry).c_str());
    }
    const std::span<const std::byte> bytes = found->second;
    const auto elementBytes = static_cast<int64_t>(elementSizeBytes(storage.dtype));
    const auto entryBytes = static_cast<int64_t>(bytes.size());
    if (entryBytes % elementBytes != 0 || entryBytes / elementBytes != storage.elementCount) {
        return error(StatusCode::BadFile,
                     "the storage of %s claims %" PRId64 " elements %s, but %s has %" PRId64 " bytes", name.c_str(),
                     storage.elementCount, dunlin::name(storage.dtype), printable(entry).c_str(), entryBytes);
    }
    const std::optional<int64_t> count = elementCount(tensor.shape);
    if (!count)
        return error(StatusCode::BadFile, "%s %s is too large", name.c_str(), describeShape(tensor.shape).c_str());
    Layout layout{bytes.data(), tensor.strides, true};
    if (*count == 0) return layout;
    const std::optional<int64_t> last = lastElement(tensor);
    if (!last || *last >= storage.elementCount) {
        return error(StatusCode::BadFile,
                     "%s %s with strides %s from element %" PRId64 " exceeds its storage of %" PRId64 " elements",
                     name.c_str(), describeShape(tensor.shape).c_str(), describeShape(tensor.strides).c_str(),
                     tensor.offset, storage.elementCount);
    }
    layout.first += tensor.offset * elementBytes;
    for (size_t i = 0; i < tensor.shape.size(); ++i) {
        if (tensor.shape[i] == 1) layout.strides[i] = 0;  // says nothing, may be any number
    }
    layout.contiguous = isContiguous(tensor.shape, tensor.strides);
    return layout;
}

Result<Checkpoint> readArchive(const FileBytes& file) {
    DUNLIN_ASSIGN(Archive archive, openArchive(file));
    Checkpoint checkpoint;
    checkpoint.storagePrefix = "data/";
    DUNLIN_ASSIGN(checkpoint.pickle, unpickle(*archive.find("data.pkl")));
    for (const auto& [name, bytes] : archive.entries) {
        const std::string prefix = archive.folder + checkpoint.storagePrefix;
        if (name.starts_with(prefix)) checkpoint.storages.emplace(name.substr(archive.folder.size()), bytes);
    }
    return checkpoint;
}

// The sizes of elements by storages' keys.
std::unordered_map<std::string_view, size_t> elementSizes(const Pickle& pickle) {
    std::unordered_map<std::string_view, size_t> sizes;
    for (const PickleValue& value : pickle.values) {
        if (const auto* storage = std::get_if<PickleStorage>(&value)) {
            sizes.emplace(storage->key, elementSizeBytes(storage->dtype));
        }
    }
    return sizes;
}

// Takes the pickle that `bytes` begin with.
Result<Pickle> takePickle(std::span<const std::byte>& bytes, const char* what, size_t maxValues = kMaxPickleValues) {
    auto pickle = unpickle(bytes, maxValues);
    if (!pickle.ok()) return pickle.status().withContext(what);
    bytes = bytes.subspan(pickle->byteCount);
    return pickle;
}

Status checkByteOrder(const Pickle& system) {
    const auto* dict = system.get<PickleDict>(system.root);
    if (dict == nullptr) return {};
    for (const auto& [key, value] : dict->items) {
        const auto* text = system.get<std::string_view>(key);
        const auto* isLittle = system.get<bool>(value);
        if (text != nullptr && *text == "little_endian" && isLittle != nullptr && !*isLittle) {
            return error(StatusCode::BadFile, "its byte order is big; only little-endian checkpoints can be read");
        }
    }
    return {};
}

// Takes what `bytes` begin with: the number of elements, then these.
Result<std::span<const std::byte>> takeStorage(std::span<const std::byte>& bytes, std::string_view key,
                                               size_t elementBytes) {
    if (bytes.size() < sizeof(int64_t)) {
        return error(StatusCode::BadFile, "the file is cut before storage %s", printable(key).c_str());
    }
    const auto count = loadLittle<int64_t>(bytes.data());
    bytes = bytes.subspan(sizeof(int64_t));
    if (count < 0 || static_cast<uint64_t>(count) > bytes.size() / elementBytes) {
        return error(StatusCode::BadFile, "storage %s claims %" PRId64 " elements of %zu bytes, but %zu bytes follow",
                     printable(key).c_str(), count, elementBytes, bytes.size());
    }
    const auto storage = bytes.first(static_cast<size_t>(count) * elementBytes);
    bytes = bytes.subspan(storage.size());
    return storage;
}

// Takes the first two pickles, which are small and of no use once they are checked: none of their values stay.
Status skipVersionAndMachine(std::span<const std::byte>& rest) {
    constexpr int64_t kVersion = 1001;
    constexpr size_t kMaxValues = 1000;
    {
        DUNLIN_ASSIGN(const Pickle version, takePickle(rest, "the version", kMaxValues));
        const auto* number = version.get<int64_t>(version.root);
        if (number == nullptr || *number != kVersion) {
            return error(StatusCode::BadFile, "it is of the format before PyTorch 1.6, but not of its version %" PRId64,
                         kVersion);
        }
    }
    DUNLIN_ASSIGN(const Pickle system, takePickle(rest, "the machine", kMaxValues));
    return checkByteOrder(system);
}

// As torch.save wrote before PyTorch 1.6: pickles of a magic number, a version, the machine, the dictionary and the
// list of the storages' keys; then the storages in the order of this list.
Result<Checkpoint> readLegacy(const FileBytes& file) {
    std::span<const std::byte> rest = std::span(file.bytes).subspan(kLegacyStart.size());
    DUNLIN_TRY(skipVersionAndMachine(rest));
    Checkpoint checkpoint;
    checkpoint.storagePrefix = "storage ";
    DUNLIN_ASSIGN(checkpoint.pickle, takePickle(rest, "the dictionary"));
    const auto sizes = elementSizes(checkpoint.pickle);
    constexpr size_t kOtherValues = 16;  // the list itself
    DUNLIN_ASSIGN(const Pickle keys, takePickle(rest, "the list of storages", sizes.size() + kOtherValues));
    const auto* list = keys.get<PickleList>(keys.root);
    if (list == nullptr) return error(StatusCode::BadFile, "it has no list of storages");
    for (const PickleIndex index : list->items) {
        const auto* key = keys.get<std::string_view>(index);
        const auto size = key == nullptr ? sizes.end() : sizes.find(*key);
        if (size == sizes.end()) {
            return error(StatusCode::BadFile, "its list names storage %s, which no tensor has",
                         key == nullptr ? "" : printable(*key).c_str());
        }
        DUNLIN_ASSIGN(const auto storage, takeStorage(rest, *key, size->second));
        checkpoint.storages.emplace(checkpoint.storagePrefix + std::string(*key), storage);
    }
    return checkpoint;
}

Result<std::shared_ptr<const WeightsSource>> collect(const FileBytes& file, const Checkpoint& checkpoint) {
    const Pickle& pickle = checkpoint.pickle;
    DUNLIN_ASSIGN(const PickleDict* stateDict, findStateDict(pickle));
    auto weights = std::make_shared<TorchWeights>(file);
    for (const auto& [key, value] : stateDict->items) {
        const auto* tensor = pickle.get<PickleTensor>(value);
        const auto* text = pickle.get<std::string_view>(key);
        if (tensor == nullptr) continue;  // an epoch, a version
        if (text == nullptr || !isPlainName(*text)) {
            return error(StatusCode::BadFile,
                         "the tensor name \"%s\" is no text, empty, longer than %zu bytes or has control characters",
                         text == nullptr ? "" : printable(*text).c_str(), kMaxTensorNameBytes);
        }
        if (weights->tensors().size() == kMaxTensors) {
            return error(StatusCode::BadFile, "it has more than %zu tensors", kMaxTensors);
        }
        const std::string name(*text);
        DUNLIN_ASSIGN(Layout layout, locate(checkpoint, name, *tensor));
        weights->add({name, tensor->shape, tensor->storage.dtype}, std::move(layout));
    }
    DUNLIN_TRY(weights->index());
    return std::shared_ptr<const WeightsSource>(std::move(weights));
}

// What is wrong with a file that is no zip archive.
Status refuse(const FileBytes& file) {
    const std::string_view text = asText(file.bytes);
    if (text.empty()) return error(StatusCode::BadFile, "the file is empty");
    if (text.front() != kPickleStart) return error(StatusCode::BadFile, "it is neither a zip archive nor a pickle");
    const auto pickle = unpickle(file.bytes);
    if (!pickle.ok()) return pickle.status();
    return error(StatusCode::BadFile, "it is a bare pickle without tensors, not a checkpoint of torch.save");
}

}  // namespace

bool looksLikeTorchCheckpoint(std::span<const std::byte> bytes) {
    const std::string_view text = asText(bytes);
    return text.starts_with(kZipStart) || text.starts_with(kPickleStart);
}

Result<std::shared_ptr<const WeightsSource>> openTorchCheckpoint(const FileBytes& file) {
    const std::string_view text = asText(file.bytes);
    if (!text.starts_with(kZipStart) && !text.starts_with(kLegacyStart)) return refuse(file).withContext(file.name);
    const auto checkpoint = text.starts_with(kZipStart) ? readArchive(file) : readLegacy(file);
    if (!checkpoint.ok()) return checkpoint.status().withContext(file.name);
    auto weights = collect(file, *checkpoint);
    if (!weights.ok()) return weights.status().withContext(file.name);
    return weights;
}

}  // namespace dunlin
