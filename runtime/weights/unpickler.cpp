#include "runtime/weights/unpickler.h"

#include <optional>
#include <unordered_map>

#include "runtime/weights/tensor_data.h"

namespace dunlin {
namespace {

// The opcodes of protocol 2 that torch.save writes, by their names in Python's pickletools.
enum Opcode : uint8_t {
    kMark = '(',
    kStop = '.',
    kBinInt = 'J',
    kBinInt1 = 'K',
    kBinInt2 = 'M',
    kNone = 'N',
    kBinPersId = 'Q',
    kReduce = 'R',
    kBinUnicode = 'X',
    kAppend = 'a',
    kBuild = 'b',
    kGlobal = 'c',
    kAppends = 'e',
    kBinGet = 'h',
    kLongBinGet = 'j',
    kEmptyList = ']',
    kBinPut = 'q',
    kLongBinPut = 'r',
    kSetItem = 's',
    kTuple = 't',
    kEmptyTuple = ')',
    kSetItems = 'u',
    kEmptyDict = '}',
    kBinFloat = 'G',
    kProto = 0x80,
    kTuple1 = 0x85,
    kTuple2 = 0x86,
    kTuple3 = 0x87,
    kNewTrue = 0x88,
    kNewFalse = 0x89,
    kLong1 = 0x8a,
};

constexpr uint8_t kProtocol = 2;
constexpr size_t kMaxMarks = 1000;
constexpr size_t kMaxDimensions = 8;

struct KnownGlobal {
    std::string_view module, name;
    PickleValue value;
};

std::optional<PickleValue> findGlobal(std::string_view module, std::string_view name) {
    const KnownGlobal known[] = {
        {"collections", "OrderedDict", PickleFunction::OrderedDict},
        {"torch._utils", "_rebuild_tensor_v2", PickleFunction::RebuildTensor},
        {"torch._utils", "_rebuild_parameter", PickleFunction::RebuildParameter},
        {"torch", "FloatStorage", PickleStorageType{DType::F32}},
        {"torch", "HalfStorage", PickleStorageType{DType::F16}},
        {"torch", "BFloat16Storage", PickleStorageType{DType::BF16}},
        {"torch", "DoubleStorage", PickleStorageType{DType::F64}},
        {"torch", "LongStorage", PickleStorageType{DType::I64}},
    };
    for (const KnownGlobal& global : known) {
        if (global.module == module && global.name == name) return global.value;
    }
    return std::nullopt;
}

// Errors stick: after the first one every reader returns nothing and the loop ends.
class Machine {
  public:
    Machine(std::span<const std::byte> bytes, size_t maxValues) : bytes_(bytes), maxValues_(maxValues) {}

    Result<Pickle> run() {
        while (status_.ok() && !stopped_) {
            opcodeAt_ = at_;
            step(readNumber<uint8_t>());
        }
        if (!status_.ok()) return status_;
        return std::move(pickle_);
    }

  private:
    void fail(const std::string& reason) {
        if (!status_.ok()) return;
        status_ = Status(StatusCode::BadFile, "the pickle " + reason + " at byte " + std::to_string(opcodeAt_));
    }

    // --- reading

    std::string_view readText(size_t count) {
        if (count > bytes_.size() - at_) {
            fail("is cut");
            at_ = bytes_.size();
            return {};
        }
        const std::string_view text(reinterpret_cast<const char*>(bytes_.data()) + at_, count);
        at_ += count;
        return text;
    }

    template <typename Number>
    Number readNumber() {
        const std::string_view text = readText(sizeof(Number));
        if (text.size() < sizeof(Number)) return 0;
        return loadLittle<Number>(reinterpret_cast<const std::byte*>(text.data()));
    }

    std::string_view readLine() {
        const std::string_view rest(reinterpret_cast<const char*>(bytes_.data()) + at_, bytes_.size() - at_);
        const size_t end = rest.find('\n');
        if (end == std::string_view::npos) {
            fail("is cut");
            return {};
        }
        at_ += end + 1;
        return rest.substr(0, end);
    }

    // Two's complement of any length up to eight bytes.
    int64_t readLong() {
        const std::string_view text = readText(readNumber<uint8_t>());
        if (text.size() > 8) {
            fail("has an integer of more than 64 bits");
            return 0;
        }
        uint64_t value = 0;
        for (size_t i = 0; i < text.size(); ++i) value |= uint64_t{static_cast<uint8_t>(text[i])} << (8 * i);
        const bool negative = !text.empty() && (static_cast<uint8_t>(text.back()) & 0x80) != 0;
        if (negative && text.size() < 8) value |= ~uint64_t{0} << (8 * text.size());
        return static_cast<int64_t>(value);
    }

    double readDouble() {  // the only number that pickles store with its high byte first
        const std::string_view text = readText(8);
        uint64_t bits = 0;
        for (const char c : text) bits = bits << 8 | static_cast<uint8_t>(c);
        return std::bit_cast<double>(bits);
    }

    // --- the stack

    void push(PickleValue value) {
        if (pickle_.values.size() >= maxValues_)
            return fail("makes more than " + std::to_string(maxValues_) + " values");
        pickle_.values.push_back(std::move(value));
        stack_.push_back(static_cast<PickleIndex>(pickle_.values.size() - 1));
    }

    void pushAgain(PickleIndex index) {
        if (stack_.size() >= maxValues_) return fail("stacks more than " + std::to_string(maxValues_) + " values");
        stack_.push_back(index);
    }

    size_t stackFloor() const { return marks_.empty() ? 0 : marks_.back(); }

    // Whether `count` values lie above the last mark.
    bool has(size_t count) {
        if (stack_.size() - stackFloor() >= count) return true;
        fail("takes values that are not there");
        return false;
    }

    PickleIndex pop() {
        const PickleIndex index = stack_.back();
        stack_.pop_back();
        return index;
    }

    std::vector<PickleIndex> popMany(size_t count) {
        const auto first = stack_.end() - static_cast<ptrdiff_t>(count);
        std::vector<PickleIndex> items(first, stack_.end());
        stack_.erase(first, stack_.end());
        return items;
    }

    std::vector<PickleIndex> popToMark() {
        if (marks_.empty()) {
            fail("closes what it did not open");
            return {};
        }
        std::vector<PickleIndex> items = popMany(stack_.size() - marks_.back());
        marks_.pop_back();
        return items;
    }

    // The value that lies on top, as a T that may be changed.
    template <typename T>
    T* top(const char* complaint) {
        if (!has(1)) return nullptr;
        T* value = std::get_if<T>(&pickle_.values[stack_.back()]);
        if (value == nullptr) fail(complaint);
        return value;
    }

    // --- opcodes

    void step(uint8_t opcode) {
        if (!status_.ok()) return;
        switch (opcode) {
            case kProto:
                return proto();
            case kMark:
                return mark();
            case kStop:
                return stop();
            case kNone:
                return push(std::monostate{});
            case kNewTrue:
                return push(true);
            case kNewFalse:
                return push(false);
            case kBinInt:
                return push(int64_t{readNumber<int32_t>()});
            case kBinInt1:
                return push(int64_t{readNumber<uint8_t>()});
            case kBinInt2:
                return push(int64_t{readNumber<uint16_t>()});
            case kLong1:
                return push(readLong());
            case kBinFloat:
                return push(readDouble());
            case kBinUnicode:
                return push(readText(readNumber<uint32_t>()));
            case kEmptyTuple:
                return push(PickleTuple{});
            case kEmptyList:
                return push(PickleList{});
            case kEmptyDict:
                return push(PickleDict{});
            case kTuple:
                return push(PickleTuple{popToMark()});
            case kTuple1:
                return tuple(1);
            case kTuple2:
                return tuple(2);
            case kTuple3:
                return tuple(3);
            case kBinPut:
                return put(readNumber<uint8_t>());
            case kLongBinPut:
                return put(readNumber<uint32_t>());
            case kBinGet:
                return get(readNumber<uint8_t>());
            case kLongBinGet:
                return get(readNumber<uint32_t>());
            case kAppend:
                return has(1) ? append({pop()}) : void();
            case kAppends:
                return append(popToMark());
            case kSetItem:
                return has(2) ? setItems(popMany(2)) : void();
            case kSetItems:
                return setItems(popToMark());
            case kGlobal:
                return global();
            case kBinPersId:
                return persistentId();
            case kReduce:
                return reduce();
            case kBuild:
                return build();
            default:
                return unknown(opcode);
        }
    }

    void unknown(uint8_t opcode) {
        char text[64];
        std::snprintf(text, sizeof text, "has opcode 0x%02x, which torch.save does not write,", unsigned{opcode});
        fail(text);
    }

    void proto() {
        const auto protocol = readNumber<uint8_t>();
        if (protocol != kProtocol) {
            fail("is of protocol " + std::to_string(protocol) + ", torch.save writes " + std::to_string(kProtocol) +
                 ",");
        }
    }

    void mark() {
        if (marks_.size() >= kMaxMarks) return fail("nests more than " + std::to_string(kMaxMarks) + " deep");
        marks_.push_back(stack_.size());
    }

    void stop() {
        if (!has(1)) return;
        pickle_.root = pop();
        pickle_.byteCount = at_;
        stopped_ = true;
    }

    void tuple(size_t count) {
        if (has(count)) push(PickleTuple{popMany(count)});
    }

    void put(uint32_t slot) {
        if (!has(1)) return;
        if (memo_.size() >= maxValues_) return fail("remembers more than " + std::to_string(maxValues_) + " values");
        memo_[slot] = stack_.back();
    }

    void get(uint32_t slot) {
        const auto found = memo_.find(slot);
        if (found == memo_.end()) return fail("recalls value " + std::to_string(slot) + ", which it did not remember,");
        pushAgain(found->second);
    }

    void append(const std::vector<PickleIndex>& items) {
        auto* list = top<PickleList>("appends to something other than a list");
        if (list != nullptr) list->items.insert(list->items.end(), items.begin(), items.end());
    }

    void setItems(const std::vector<PickleIndex>& items) {
        if (items.size() % 2 != 0) return fail("sets a key without a value");
        auto* dict = top<PickleDict>("sets items of something other than a dictionary");
        if (dict == nullptr) return;
        for (size_t i = 0; i < items.size(); i += 2) dict->items.emplace_back(items[i], items[i + 1]);
    }

    void global() {
        const std::string_view module = readLine(), name = readLine();
        if (!status_.ok()) return;
        if (std::optional<PickleValue> known = findGlobal(module, name)) return push(*std::move(known));
        const std::string shown = printable(module) + "." + printable(name);
        if (module == "torch" && name.ends_with("Storage")) {
            return fail("has a " + shown + "; only Float, Half, BFloat16, Double and LongStorage can be read;");
        }
        fail("would run " + shown + ", which no tensor needs,");
    }

    // ("storage", type, key, device, number of elements); before PyTorch 1.6 also a view, which nothing has had since
    // 0.4
    void persistentId() {
        if (!has(1)) return;
        const auto* id = pickle_.get<PickleTuple>(pop());
        if (id == nullptr || id->items.size() < 5 || id->items.size() > 6) {
            return fail("refers to a storage in an unknown way");
        }
        if (id->items.size() == 6 && pickle_.get<std::monostate>(id->items[5]) == nullptr) {
            return fail("refers to a view of a storage, which nothing has written since PyTorch 0.4,");
        }
        const auto* word = pickle_.get<std::string_view>(id->items[0]);
        const auto* type = pickle_.get<PickleStorageType>(id->items[1]);
        const auto* key = pickle_.get<std::string_view>(id->items[2]);
        const auto* count = pickle_.get<int64_t>(id->items[4]);
        if (word == nullptr || *word != "storage" || type == nullptr || key == nullptr || count == nullptr) {
            return fail("refers to a storage in an unknown way");
        }
        if (*count < 0) return fail("has a storage of " + std::to_string(*count) + " elements");
        if (key->size() > kMaxStorageKeyBytes) {
            return fail("has a storage's key of " + std::to_string(key->size()) + " bytes, the limit is " +
                        std::to_string(kMaxStorageKeyBytes) + ",");
        }
        push(PickleStorage{*key, type->dtype, *count});
    }

    void reduce() {
        if (!has(2)) return;
        const auto* arguments = pickle_.get<PickleTuple>(pop());
        const auto* function = pickle_.get<PickleFunction>(pop());
        if (function == nullptr || arguments == nullptr) return fail("calls something that is no function");
        switch (*function) {
            case PickleFunction::OrderedDict:
                if (!arguments->items.empty()) return fail("makes an OrderedDict of arguments");
                return push(PickleDict{});
            case PickleFunction::RebuildTensor:
                return rebuildTensor(arguments->items);
            case PickleFunction::RebuildParameter:
                if (arguments->items.empty() || pickle_.get<PickleTensor>(arguments->items[0]) == nullptr) {
                    return fail("makes a parameter of something other than a tensor");
                }
                return pushAgain(arguments->items[0]);
        }
    }

    std::optional<std::vector<int64_t>> integers(PickleIndex index) const {
        const auto* tuple = pickle_.get<PickleTuple>(index);
        if (tuple == nullptr || tuple->items.size() > kMaxDimensions) return std::nullopt;
        std::vector<int64_t> numbers;
        for (const PickleIndex item : tuple->items) {
            const auto* number = pickle_.get<int64_t>(item);
            if (number == nullptr || *number < 0) return std::nullopt;
            numbers.push_back(*number);
        }
        return numbers;
    }

    // (storage, offset, size, stride, requires_grad, backward_hooks[, metadata])
    void rebuildTensor(const std::vector<PickleIndex>& arguments) {
        if (arguments.size() < 6) return fail("makes a tensor of too few arguments");
        const auto* storage = pickle_.get<PickleStorage>(arguments[0]);
        const auto* offset = pickle_.get<int64_t>(arguments[1]);
        std::optional<std::vector<int64_t>> shape = integers(arguments[2]), strides = integers(arguments[3]);
        if (storage == nullptr || offset == nullptr || *offset < 0) return fail("makes a tensor without a storage");
        if (!shape || !strides || shape->size() != strides->size()) {
            return fail("makes a tensor whose shape or strides are not up to " + std::to_string(kMaxDimensions) +
                        " numbers from 0");
        }
        push(PickleTensor{*storage, *offset, *std::move(shape), *std::move(strides)});
    }

    // A state dictionary carries its module versions as an attribute; nothing here needs them.
    void build() {
        if (!has(2)) return;
        pop();
        top<PickleDict>("sets attributes of something other than a dictionary");
    }

    std::span<const std::byte> bytes_;
    const size_t maxValues_;
    size_t at_ = 0, opcodeAt_ = 0;
    bool stopped_ = false;
    Status status_;
    Pickle pickle_;
    std::vector<PickleIndex> stack_;
    std::vector<size_t> marks_;  // heights of the stack
    std::unordered_map<uint32_t, PickleIndex> memo_;
};

}  // namespace

Result<Pickle> unpickle(std::span<const std::byte> bytes, size_t maxValues) {
    return Machine(bytes, maxValues).run();
}

}  // namespace dunlin
