#include "runtime/weights/safetensors.h"

#include <algorithm>
#include <cinttypes>
#include <nlohmann/json.hpp>
#include <unordered_map>
#include <unordered_set>

#include "runtime/weights/tensor_data.h"

namespace dunlin {
namespace {

constexpr size_t kLengthBytes = 8;
constexpr size_t kMaxTensors = 100'000;
constexpr size_t kMaxDimensions = 8;

struct HeaderEntry {
    TensorInfo info;
    uint64_t begin = 0, end = 0;  // bytes from the start of the data
};

struct DTypeName {
    std::string_view name;
    DType dtype;
};
constexpr DTypeName kDTypes[] = {
    {"F32", DType::F32}, {"F16", DType::F16}, {"BF16", DType::BF16}, {"F64", DType::F64}, {"I64", DType::I64},
};

// Takes the header as the parser comes across it: what does not belong ends the parse at once, so a hostile header
// costs no more memory than the tensors that it really describes.
class HeaderReader final : public nlohmann::json_sax<nlohmann::json> {
  public:
    Status status() const { return status_; }
    std::vector<HeaderEntry> takeEntries() { return std::move(entries_); }

    bool key(string_t& key) override {
        switch (place_) {
            case Place::Tensors:
                return beginTensor(key);
            case Place::Entry:
                return beginField(key);
            default:
                return true;  // metadata: anybody's notes
        }
    }

    bool start_object(std::size_t) override {
        if (place_ == Place::Start) return enter(Place::Tensors);
        if (place_ == Place::Tensors) return enter(atMetadata_ ? Place::Metadata : Place::Entry);
        return misplaced("an object");
    }

    bool end_object() override {
        if (place_ == Place::Entry && !endTensor()) return false;
        return enter(place_ == Place::Tensors ? Place::End : Place::Tensors);
    }

    bool start_array(std::size_t) override {
        if (place_ == Place::Entry && field_ == "shape") return enter(Place::Shape);
        if (place_ == Place::Entry && field_ == "data_offsets") return enter(Place::Offsets);
        return misplaced("an array");
    }

    bool end_array() override { return enter(Place::Entry); }

    bool number_unsigned(number_unsigned_t number) override {
        if (place_ == Place::Shape) return addDimension(number);
        if (place_ == Place::Offsets) {
            offsets_.push_back(number);
            return offsets_.size() <= 2 || fail("data_offsets of " + entryName() + " has more than two numbers");
        }
        return misplaced("a number");
    }

    bool string(string_t& text) override {
        if (place_ == Place::Metadata) return true;
        if (place_ == Place::Entry && field_ == "dtype") return setDType(text);
        return misplaced("a string");
    }

    bool number_integer(number_integer_t number) override {
        return misplaced("the negative number " + std::to_string(number));
    }
    bool number_float(number_float_t, const string_t& text) override {
        return misplaced("the number " + printable(text));
    }
    bool null() override { return misplaced("null"); }
    bool boolean(bool) override { return misplaced("true or false"); }
    bool binary(binary_t&) override { return misplaced("binary data"); }

    bool parse_error(std::size_t position, const std::string&, const nlohmann::detail::exception&) override {
        return fail("the header is not JSON at byte " + std::to_string(kLengthBytes + position));
    }

  private:
    enum class Place { Start, Tensors, Metadata, Entry, Shape, Offsets, End };

    bool fail(const std::string& reason) {
        if (status_.ok()) status_ = Status(StatusCode::BadFile, reason);
        return false;
    }

    bool misplaced(const std::string& what) {
        switch (place_) {
            case Place::Start:
                return fail("the header is no JSON object but " + what);
            case Place::Metadata:
                return fail("__metadata__ may hold strings only, not " + what);
            case Place::Entry:
                return fail(field_ + " of " + entryName() + " is " + what);
            case Place::Shape:
                return fail("the shape of " + entryName() + " holds " + what);
            case Place::Offsets:
                return fail("data_offsets of " + entryName() + " holds " + what);
            default:
                return fail((atMetadata_ ? std::string("__metadata__") : entryName()) + " is " + what +
                            ", not an object");
        }
    }

    bool enter(Place place) {
        place_ = place;
        return true;
    }

    std::string entryName() const { return printable(entry_.info.name); }

    bool beginTensor(const std::string& key) {
        if (!names_.insert(key).second) return fail("the header has " + printable(key) + " twice");
        atMetadata_ = key == "__metadata__";
        if (atMetadata_) return true;
        if (!isPlainName(key)) {
            return fail("the tensor name \"" + printable(key) + "\" is empty, longer than " +
                        std::to_string(kMaxTensorNameBytes) + " bytes or has control characters");
        }
        if (entries_.size() == kMaxTensors) return fail("it has more than " + std::to_string(kMaxTensors) + " tensors");
        entry_ = {};
        entry_.info.name = key;
        offsets_.clear();
        fieldsSeen_.clear();
        return true;
    }

    bool beginField(const std::string& key) {
        if (key != "dtype" && key != "shape" && key != "data_offsets") {
            return fail(entryName() + " has the unknown field " + printable(key));
        }
        field_ = key;
        return fieldsSeen_.insert(key).second || fail(entryName() + " has " + key + " twice");
    }

    bool endTensor() {
        for (const char* field : {"dtype", "shape", "data_offsets"}) {
            if (!fieldsSeen_.contains(field)) return fail(entryName() + " has no " + field);
        }
        if (offsets_.size() != 2) return fail("data_offsets of " + entryName() + " has not two numbers");
        entry_.begin = offsets_[0];
        entry_.end = offsets_[1];
        entries_.push_back(std::move(entry_));
        return true;
    }

    bool addDimension(uint64_t dimension) {
        if (dimension > INT64_MAX) return misplaced("the number " + std::to_string(dimension));
        entry_.info.shape.push_back(static_cast<int64_t>(dimension));
        return entry_.info.shape.size() <= kMaxDimensions ||
               fail(entryName() + " has more than " + std::to_string(kMaxDimensions) + " dimensions");
    }

    bool setDType(const std::string& text) {
        for (const DTypeName& known : kDTypes) {
            if (known.name != text) continue;
            entry_.info.dtype = known.dtype;
            return true;
        }
        return fail(entryName() + " has dtype " + printable(text) + "; F32, F16, BF16, F64 and I64 can be read");
    }

    Place place_ = Place::Start;
    bool atMetadata_ = false;
    std::string field_;
    std::unordered_set<std::string> fieldsSeen_;
    std::vector<uint64_t> offsets_;
    HeaderEntry entry_;
    std::unordered_set<std::string> names_;
    std::vector<HeaderEntry> entries_;
    Status status_;
};

Result<std::vector<HeaderEntry>> parseHeader(std::span<const std::byte> header) {
    const char* text = reinterpret_cast<const char*>(header.data());
    HeaderReader reader;
    // By the base class: one parser for all readers, not one for each.
    nlohmann::json_sax<nlohmann::json>* const events = &reader;
    try {  // what the parser may throw ends here
        if (!nlohmann::json::sax_parse(text, text + header.size(), events)) return reader.status();
    } catch (const std::bad_alloc&) {
        return error(StatusCode::OutOfHostMemory, "no memory for a header of %zu bytes", header.size());
    } catch (const std::exception&) {
        return error(StatusCode::BadFile, "the header is not JSON");
    }
    return reader.takeEntries();
}

// The tensors must lie one after another and fill the data exactly, as the format demands.
Status checkLayout(const std::vector<HeaderEntry>& entries, uint64_t dataStart, uint64_t dataBytes) {
    std::vector<const HeaderEntry*> byOffset;
    for (const HeaderEntry& entry : entries) byOffset.push_back(&entry);
    std::ranges::sort(byOffset, [](const HeaderEntry* a, const HeaderEntry* b) {
        return a->begin != b->begin ? a->begin < b->begin : a->end < b->end;
    });
    uint64_t end = 0;
    for (const HeaderEntry* entry : byOffset) {
        const char* tensor = entry->info.name.c_str();
        if (entry->end < entry->begin || entry->end > dataBytes) {
            return error(StatusCode::BadFile,
                         "%s lies at bytes %" PRIu64 " to %" PRIu64 " of the data, which has %" PRIu64 " bytes", tensor,
                         entry->begin, entry->end, dataBytes);
        }
        const std::optional<int64_t> count = elementCount(entry->info.shape);
        uint64_t sizeBytes = 0;
        const bool tooLarge = !count || __builtin_mul_overflow(static_cast<uint64_t>(*count),
                                                               elementSizeBytes(entry->info.dtype), &sizeBytes);
        if (tooLarge || sizeBytes != entry->end - entry->begin) {
            return error(StatusCode::BadFile, "%s is %s %s, but its data has %" PRIu64 " bytes (at byte %" PRIu64 ")",
                         tensor, name(entry->info.dtype), describeShape(entry->info.shape).c_str(),
                         entry->end - entry->begin, dataStart + entry->begin);
        }
        if (entry->begin != end) {
            return error(StatusCode::BadFile,
                         "%s begins at byte %" PRIu64 " of the data, where byte %" PRIu64 " is due (a %s)", tensor,
                         entry->begin, end, entry->begin < end ? "shared piece" : "hole");
        }
        end = entry->end;
    }
    if (end != dataBytes) {
        return error(StatusCode::BadFile,
                     "%" PRIu64 " bytes after the last tensor belong to none (at byte %" PRIu64 ")", dataBytes - end,
                     dataStart + end);
    }
    return {};
}

class SafetensorsWeights final : public WeightsSource {
  public:
    SafetensorsWeights(FileBytes file, uint64_t dataStart, std::vector<HeaderEntry> entries) : file_(std::move(file)) {
        for (HeaderEntry& entry : entries) {
            data_.push_back(file_.bytes.data() + dataStart + entry.begin);
            tensors_.push_back(std::move(entry.info));
        }
        for (size_t i = 0; i < tensors_.size(); ++i) byName_.emplace(tensors_[i].name, i);
    }

    const std::vector<TensorInfo>& tensors() const override { return tensors_; }

    std::string placeOf(std::string_view name) const override { return file_.name + ": " + std::string(name); }

    Status read(std::string_view name, std::span<const int64_t> shape, std::span<float> values) const override {
        const auto found = byName_.find(name);
        if (found == byName_.end()) {
            return error(StatusCode::BadFile, "%s: has no tensor %s", file_.name.c_str(), printable(name).c_str());
        }
        const TensorInfo& tensor = tensors_[found->second];
        DUNLIN_TRY(checkRead(tensor, shape, values.size()).withContext(file_.name));
        return convertToFloat(tensor.dtype, data_[found->second], values).withContext(file_.name + ": " + tensor.name);
    }

  private:
    FileBytes file_;
    std::vector<TensorInfo> tensors_;
    std::vector<const std::byte*> data_;
    std::unordered_map<std::string_view, size_t> byName_;  // into the names of tensors_
};

Result<std::shared_ptr<const WeightsSource>> parse(const FileBytes& file) {
    const uint64_t fileBytes = file.bytes.size();
    if (fileBytes == 0) return error(StatusCode::BadFile, "the file is empty");
    if (fileBytes < kLengthBytes) {
        return error(StatusCode::BadFile, "%" PRIu64 " bytes are too few for a safetensors file", fileBytes);
    }
    const auto headerBytes = loadLittle<uint64_t>(file.bytes.data());
    if (headerBytes > kMaxSafetensorsHeaderBytes) {
        return error(StatusCode::BadFile, "the header claims %" PRIu64 " bytes, the limit is %" PRIu64, headerBytes,
                     kMaxSafetensorsHeaderBytes);
    }
    if (headerBytes > fileBytes - kLengthBytes) {
        return error(StatusCode::BadFile, "the header claims %" PRIu64 " bytes, but only %" PRIu64 " follow at byte 8",
                     headerBytes, fileBytes - kLengthBytes);
    }
    DUNLIN_ASSIGN(std::vector<HeaderEntry> entries, parseHeader(file.bytes.subspan(kLengthBytes, headerBytes)));
    const uint64_t dataStart = kLengthBytes + headerBytes;
    DUNLIN_TRY(checkLayout(entries, dataStart, fileBytes - dataStart));
    if (entries.empty()) return error(StatusCode::BadFile, "it holds no tensors");
    return std::shared_ptr<const WeightsSource>(
        std::make_shared<SafetensorsWeights>(file, dataStart, std::move(entries)));
}

}  // namespace

Result<std::shared_ptr<const WeightsSource>> openSafetensors(const FileBytes& file) {
    auto weights = parse(file);
    if (!weights.ok()) return weights.status().withContext(file.name);
    return weights;
}

}  // namespace dunlin
