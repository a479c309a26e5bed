#include "tools/bench/shader_compiler.h"

#include <glslang/Public/ResourceLimits.h>
#include <glslang/Public/ShaderLang.h>
#include <glslang/SPIRV/GlslangToSpv.h>

#include <algorithm>
#include <fstream>
#include <map>
#include <memory>
#include <optional>
#include <regex>
#include <sstream>

#include "tools/bench/embedded_includes.h"

namespace dunlin::bench {
namespace {

namespace fs = std::filesystem;

// What files of the library are called in messages.
constexpr const char* kLibrary = "dunlin:include";

std::optional<std::string> contentOf(const fs::path& file) {
    std::error_code error;
    if (!fs::is_regular_file(file, error)) return std::nullopt;
    std::ifstream stream(file, std::ios::binary);
    std::ostringstream content;
    content << stream.rdbuf();
    if (!stream) return std::nullopt;
    return content.str();
}

// Finds includes, and keeps all text that was read: for messages.
class Includes final : public glslang::TShader::Includer {
  public:
    explicit Includes(const ShaderSource& source) : source_(source) {}

    IncludeResult* includeLocal(const char* name, const char* includer, size_t) override {
        const fs::path folder = fs::path(includer).parent_path();
        if (folder == kLibrary) return fromLibrary(name);
        return fromFile(folder / name);
    }
    IncludeResult* includeSystem(const char* name, const char*, size_t) override {
        for (const fs::path& folder : source_.includeFolders) {
            if (IncludeResult* found = fromFile(folder / name)) return found;
        }
        return fromLibrary(name);
    }
    void releaseInclude(IncludeResult*) override {}  // they live as long as this

    const std::string& add(const std::string& name, std::string text) { return texts_[name] = std::move(text); }
    void addFile(CompiledShader::File file) { files_.push_back(std::move(file)); }
    const std::vector<CompiledShader::File>& files() const { return files_; }

    bool contains(const std::string& name) const { return texts_.contains(name); }
    // One line of what was read, counted from 1, without spaces around it; empty where there is none.
    std::string line(const std::string& name, size_t number) const {
        const auto found = texts_.find(name);
        if (found == texts_.end()) return {};
        std::istringstream stream(found->second);
        std::string text;
        for (size_t i = 0; i < number; ++i) {
            if (!std::getline(stream, text)) return {};
        }
        const size_t begin = text.find_first_not_of(" \t\r"), end = text.find_last_not_of(" \t\r");
        return begin == std::string::npos ? std::string() : text.substr(begin, end - begin + 1);
    }

  private:
    IncludeResult* fromFile(const fs::path& path) {
        // Before the text: what is saved in between is newer, and is read again by those who watch.
        const std::optional<fs::file_time_type> written = timeOf(path);
        std::optional<std::string> text = contentOf(path);
        if (!text) return nullptr;
        if (std::ranges::find(files_, path, &CompiledShader::File::path) == files_.end()) addFile({path, written});
        return result(path.lexically_normal().string(), *std::move(text));
    }
    IncludeResult* fromLibrary(const std::string& name) {
        for (const EmbeddedText& include : libraryIncludes()) {
            if (name != include.name && name != "include/" + std::string(include.name)) continue;
            std::string text;
            for (const std::string_view piece : include.pieces) text += piece;
            return result(std::string(kLibrary) + "/" + std::string(include.name), std::move(text));
        }
        return nullptr;
    }
    IncludeResult* result(const std::string& name, std::string text) {
        const std::string& kept = add(name, std::move(text));
        results_.push_back(std::make_unique<IncludeResult>(name, kept.data(), kept.size(), nullptr));
        return results_.back().get();
    }

    const ShaderSource& source_;
    std::map<std::string, std::string> texts_;  // by the name that messages have
    std::vector<std::unique_ptr<IncludeResult>> results_;
    std::vector<CompiledShader::File> files_;
};

// The bytes of the UTF-8 sequence that a text begins with; 0 where it is none.
size_t sequenceBytes(std::string_view text) {
    const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
    const size_t length = byte(0) < 0x80 ? 1 : byte(0) < 0xc2 ? 0 : byte(0) < 0xe0 ? 2 : byte(0) < 0xf0 ? 3 : 4;
    if (length == 0 || byte(0) > 0xf4 || length > text.size()) return 0;
    for (size_t i = 1; i < length; ++i) {
        if ((byte(i) & 0xc0) != 0x80) return 0;
    }
    return length;
}

// At most so many characters, then "..."; '?' for controls and for what is no UTF-8.
std::string shown(std::string_view text, size_t limit) {
    std::string result;
    for (size_t at = 0, count = 0; at < text.size(); ++count) {
        if (count == limit) return result + "...";
        const size_t bytes = sequenceBytes(text.substr(at));
        const bool isControl = bytes == 1 && (static_cast<unsigned char>(text[at]) < 0x20 || text[at] == 0x7f);
        if (bytes == 0 || (isControl && text[at] != '\t')) {
            result += '?';
        } else {
            result += text.substr(at, bytes);
        }
        at += std::max<size_t>(bytes, 1);
    }
    return result;
}

std::string preambleOf(const std::vector<std::string>& defines) {
    std::string preamble = "#extension GL_GOOGLE_include_directive : enable\n";
    for (const std::string& define : defines) {
        const size_t equals = define.find('=');
        const std::string name = define.substr(0, equals);
        const std::string value = equals == std::string::npos ? "1" : define.substr(equals + 1);
        preamble += "#undef " + name + "\n#define " + name + " " + value + "\n";
    }
    return preamble;
}

// "ERROR: mine.comp:12: 'foo' : undeclared identifier" to what CompiledShader::errors holds.
void addErrors(const std::string& log, const std::string& file, const Includes& includes,
               std::vector<std::string>& errors) {
    constexpr size_t kMaxMessage = 400, kMaxLine = 120;  // characters

    static const std::regex kLocated(R"(^ERROR: (.*?):(\d{1,9}): (.*?)\s*$)");
    static const std::string kNoToken = "'' : ";
    static const std::regex kTotal(R"(^ERROR: (\d+ compilation errors.*|.*: '' : compilation terminated.*)$)");
    std::istringstream stream(log);
    std::string text;
    while (std::getline(stream, text)) {
        std::smatch match;
        if (!text.starts_with("ERROR: ") || std::regex_match(text, kTotal)) continue;
        if (!std::regex_match(text, match, kLocated)) {
            const bool lacksMain = text.find("Missing entry point") != std::string::npos;
            errors.push_back(file + ": " + (lacksMain ? "has no main()" : shown(text.substr(7), kMaxMessage)));
            continue;
        }
        std::string message = match[3];
        if (message.starts_with(kNoToken)) message.erase(0, message.find_first_not_of(' ', kNoToken.size()));
        message = shown(message, kMaxMessage);
        if (!includes.contains(match[1])) {  // in the macros of the command line
            errors.push_back(file + ": " + message);
            continue;
        }
        const std::string line = shown(includes.line(match[1], std::stoul(match[2])), kMaxLine);
        errors.push_back(match[1].str() + ":" + match[2].str() + ": " + message +
                         (line.empty() ? "" : "\n    " + line));
    }
}

// glslang wants to be started once and ended once.
struct Process {
    Process() { glslang::InitializeProcess(); }
    ~Process() { glslang::FinalizeProcess(); }
};

}  // namespace

bool hasShaderCompiler() {
    return true;
}

CompiledShader compileShader(const ShaderSource& source) {
    const Process process;
    CompiledShader result;
    const std::string name = source.file.string();
    Includes includes(source);
    includes.addFile({source.file, timeOf(source.file)});
    result.files = includes.files();
    std::optional<std::string> content = contentOf(source.file);
    if (!content) {
        result.errors.push_back(name + ": cannot be read");
        return result;
    }
    const std::string& text = includes.add(name, *std::move(content));
    const std::string preamble = preambleOf(source.defines);
    const char* strings[] = {text.data()};
    const int lengths[] = {static_cast<int>(text.size())};
    const char* names[] = {name.c_str()};
    constexpr EShMessages kMessages = static_cast<EShMessages>(EShMsgSpvRules | EShMsgVulkanRules);
    glslang::TShader shader(EShLangCompute);
    shader.setStringsWithLengthsAndNames(strings, lengths, names, 1);
    shader.setPreamble(preamble.c_str());
    shader.setEnvInput(glslang::EShSourceGlsl, EShLangCompute, glslang::EShClientVulkan, 100);
    shader.setEnvClient(glslang::EShClientVulkan, glslang::EShTargetVulkan_1_1);
    shader.setEnvTarget(glslang::EShTargetSpv, glslang::EShTargetSpv_1_3);
    const bool parsed = shader.parse(GetDefaultResources(), 450, false, kMessages, includes);
    result.files = includes.files();
    glslang::TProgram program;
    program.addShader(&shader);
    const bool linked = parsed && program.link(kMessages);
    if (linked) {
        glslang::GlslangToSpv(*program.getIntermediate(EShLangCompute), result.code);
        return result;
    }
    addErrors(shader.getInfoLog(), name, includes, result.errors);
    addErrors(program.getInfoLog(), name, includes, result.errors);
    if (result.errors.empty()) result.errors.push_back(name + ": does not compile, and glslang does not say why");
    return result;
}

}  // namespace dunlin::bench
