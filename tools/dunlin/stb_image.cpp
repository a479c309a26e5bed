// The implementation of stb_image, compiled once. High dynamic range pictures are left out: networks here take bytes.
#include <cstdlib>
// Memory begins as zeros: up to 2.27 a JPEG may use Huffman tables that it never defines, and crash on what lies there.
#define STBI_MALLOC(sizeBytes) std::calloc(1, sizeBytes)
#define STBI_REALLOC(memory, sizeBytes) std::realloc(memory, sizeBytes)
#define STBI_FREE(memory) std::free(memory)
// Files are read by readFile(), and broken ones end in errors rather than in the process's end.
#define STBI_NO_STDIO
#define STBI_ASSERT(condition) static_cast<void>(0)
#define STBI_NO_HDR
#define STBI_NO_LINEAR
#define STB_IMAGE_IMPLEMENTATION
#include <stb_image.h>
