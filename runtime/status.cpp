#include "runtime/status.h"

#include <cstdarg>
#include <cstdio>

namespace dunlin {

Status error(StatusCode code, const char* format, ...) {
    va_list arguments, again;
    va_start(arguments, format);
    va_copy(again, arguments);
    const int length = std::vsnprintf(nullptr, 0, format, arguments);
    va_end(arguments);
    std::string message(length > 0 ? static_cast<size_t>(length) : 0, '\0');
    if (length > 0) std::vsnprintf(message.data(), message.size() + 1, format, again);
    va_end(again);
    return Status(code, std::move(message));
}

}  // namespace dunlin
