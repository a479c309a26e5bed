// The implementation of stb_image, compiled once. High dynamic range pictures are left out: networks here take bytes.
#define STBI_NO_STDIO
#define STBI_NO_HDR
#define STBI_NO_LINEAR
#define STB_IMAGE_IMPLEMENTATION
#include <stb_image.h>
