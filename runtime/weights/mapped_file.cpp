#include "runtime/weights/mapped_file.h"

#ifdef _WIN32
#include <fstream>
#else
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>
#endif

namespace dunlin {

#ifdef _WIN32

Result<std::shared_ptr<const MappedFile>> MappedFile::open(const std::filesystem::path& path) {
    std::ifstream stream(path, std::ios::binary | std::ios::ate);
    if (!stream) return error(StatusCode::BadFile, "%s: cannot be opened", path.string().c_str());
    std::shared_ptr<MappedFile> file(new MappedFile);
    file->copy_.resize(static_cast<size_t>(stream.tellg()));
    stream.seekg(0);
    if (!stream.read(reinterpret_cast<char*>(file->copy_.data()), static_cast<std::streamsize>(file->copy_.size()))) {
        return error(StatusCode::BadFile, "%s: cannot be read", path.string().c_str());
    }
    file->bytes_ = file->copy_;
    return std::shared_ptr<const MappedFile>(std::move(file));
}

MappedFile::~MappedFile() = default;

#else

namespace {

class Descriptor {
  public:
    // O_NONBLOCK, so that a pipe is refused below instead of waited for here.
    explicit Descriptor(const char* path) : value_(::open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)) {}
    Descriptor(const Descriptor&) = delete;
    Descriptor& operator=(const Descriptor&) = delete;
    ~Descriptor() {
        if (value_ >= 0) ::close(value_);
    }
    int get() const { return value_; }

  private:
    int value_;
};

Status systemError(const std::filesystem::path& path) {
    return error(StatusCode::BadFile, "%s: %s", path.c_str(), std::generic_category().message(errno).c_str());
}

}  // namespace

Result<std::shared_ptr<const MappedFile>> MappedFile::open(const std::filesystem::path& path) {
    const Descriptor descriptor(path.c_str());
    struct stat about = {};
    if (descriptor.get() < 0 || ::fstat(descriptor.get(), &about) != 0) return systemError(path);
    if (!S_ISREG(about.st_mode)) return error(StatusCode::BadFile, "%s: not a regular file", path.c_str());

    std::shared_ptr<MappedFile> file(new MappedFile);
    const auto sizeBytes = static_cast<size_t>(about.st_size);
    if (sizeBytes > 0) {  // mmap refuses a length of zero
        void* start = ::mmap(nullptr, sizeBytes, PROT_READ, MAP_PRIVATE, descriptor.get(), 0);
        if (start == MAP_FAILED) return systemError(path);
        file->bytes_ = {static_cast<const std::byte*>(start), sizeBytes};
    }
    return std::shared_ptr<const MappedFile>(std::move(file));
}

MappedFile::~MappedFile() {
    if (!bytes_.empty()) ::munmap(const_cast<std::byte*>(bytes_.data()), bytes_.size());
}

#endif

Result<FileBytes> openFile(const std::filesystem::path& path) {
    DUNLIN_ASSIGN(auto file, MappedFile::open(path));
    FileBytes bytes{path.string(), file->bytes(), nullptr};
    bytes.owner = std::move(file);
    return bytes;
}

FileBytes inMemory(std::string name, std::vector<std::byte> bytes) {
    auto owner = std::make_shared<const std::vector<std::byte>>(std::move(bytes));
    return {std::move(name), *owner, owner};
}

}  // namespace dunlin
