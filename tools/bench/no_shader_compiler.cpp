// Where the build found no glslang library.
#include "tools/bench/shader_compiler.h"

namespace dunlin::bench {

bool hasShaderCompiler() {
    return false;
}

CompiledShader compileShader(const ShaderSource& source) {
    CompiledShader result;
    result.errors.push_back(source.file.string() + ": this dunlin was built without the glslang library");
    return result;
}

}  // namespace dunlin::bench
