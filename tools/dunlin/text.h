// Text of files that people write, and of names.
#pragma once

#include <string>
#include <string_view>

namespace dunlin::cli {

// Without spaces, tabs and carriage returns at both ends.
std::string_view trimmed(std::string_view text);

// With the letters A to Z as a to z; others stay.
std::string lowered(std::string_view text);

// Without the mark that editors may put before UTF-8.
std::string_view withoutByteOrderMark(std::string_view text);

// Takes the first line off the front of `text`, and returns it trimmed.
std::string_view takeLine(std::string_view& text);

// Whether it is UTF-16, or no text at all: it begins with a byte order mark of UTF-16 or has a zero byte.
bool isUtf16OrBinary(std::string_view text);

}  // namespace dunlin::cli
