#include "models/model.h"

#include <algorithm>
#include <new>
#include <optional>
#include <system_error>

#include "models/hub_config.h"
#include "models/preprocessor_config.h"
#include "runtime/weights/fold.h"
#include "runtime/weights/name_scheme.h"
#include "runtime/weights/open.h"
#include "runtime/weights/synthetic.h"

namespace dunlin {
namespace {

namespace fs = std::filesystem;

constexpr const char* kSynthetic = "synthetic";
constexpr const char* kConfigName = "config.json";
constexpr const char* kPreprocessorName = "preprocessor_config.json";
constexpr const char* kWeightsNames[] = {"model.safetensors", "pytorch_model.bin"};  // as the hub calls them

// What the caller asked for, found on the disk.
struct Request {
    std::string architecture;        // asked for by name; empty: the files decide
    std::string weights;             // what messages call them: the file's path; empty: formula weights
    std::optional<FileBytes> bytes;  // of the weights, where they are in memory; else they are read from that path
    std::optional<HubConfig> config;
    std::string configFile;
    std::optional<PreprocessorConfig> preprocessor;
    std::string preprocessorFile;
};

bool looksLikePath(const std::string& name) {
    return name.ends_with(".safetensors") || name.ends_with(".pth") || name.find('/') != std::string::npos ||
           name.find(fs::path::preferred_separator) != std::string::npos;
}

// Without the exceptions of the standard library; what cannot be looked at does not exist.
bool isFolder(const fs::path& path) {
    std::error_code problem;
    return fs::is_directory(path, problem);
}
bool isThere(const fs::path& path) {
    std::error_code problem;
    return fs::exists(path, problem);
}

Status readPreprocessor(const fs::path& folder, Request& request) {
    const fs::path path = folder / kPreprocessorName;
    if (!isThere(path)) return {};
    DUNLIN_ASSIGN(const FileBytes file, openFile(path));
    auto config = parsePreprocessorConfig({reinterpret_cast<const char*>(file.bytes.data()), file.bytes.size()});
    if (!config.ok()) return config.status().withContext(file.name);
    request.preprocessor = *std::move(config);
    request.preprocessorFile = file.name;
    return {};
}

Status readConfig(const fs::path& folder, Request& request) {
    DUNLIN_TRY(readPreprocessor(folder, request));
    const fs::path path = folder / kConfigName;
    if (!isThere(path)) return {};
    DUNLIN_ASSIGN(const FileBytes file, openFile(path));
    auto config = parseHubConfig({reinterpret_cast<const char*>(file.bytes.data()), file.bytes.size()});
    if (!config.ok()) return config.status().withContext(file.name);
    request.config = *std::move(config);
    request.configFile = file.name;
    return {};
}

Result<fs::path> weightsIn(const fs::path& folder) {
    for (const char* name : kWeightsNames) {
        if (isThere(folder / name)) return folder / name;
    }
    return error(StatusCode::BadFile, "%s: the folder has no %s", folder.string().c_str(), kWeightsNames[0]);
}

Result<Request> requestFolder(const fs::path& folder, const ModelOptions& options) {
    Request request;
    request.architecture = options.architecture;
    DUNLIN_TRY(readConfig(folder, request));
    if (options.weights.empty()) {
        DUNLIN_ASSIGN(const fs::path file, weightsIn(folder));
        request.weights = file.string();
    } else if (options.weights != kSynthetic) {
        request.weights = options.weights;
    }
    return request;
}

Result<Request> requestBytes(const std::string& name, const ModelOptions& options) {
    if (!options.weights.empty()) {
        return error(StatusCode::InvalidArgument, "%s has weights of its own; it cannot be opened with the weights %s",
                     name.c_str(), options.weights.c_str());
    }
    Request request;
    request.architecture = options.architecture;
    request.weights = name;
    request.bytes = options.bytes;
    request.bytes->name = name;
    if (options.config.empty()) return request;
    request.configFile = "config.json of " + name;
    auto config = parseHubConfig(options.config);
    if (!config.ok()) return config.status().withContext(request.configFile);
    request.config = *std::move(config);
    return request;
}

Result<Request> requestFile(const fs::path& file, const ModelOptions& options) {
    if (!options.weights.empty()) {
        return error(StatusCode::InvalidArgument,
                     "%s is a weights file already; it cannot be opened with the weights %s", file.string().c_str(),
                     options.weights.c_str());
    }
    Request request;
    request.architecture = options.architecture;
    request.weights = file.string();
    DUNLIN_TRY(readConfig(file.parent_path(), request));
    return request;
}

Result<Request> requestArchitecture(const std::string& name, const ModelOptions& options) {
    if (!options.architecture.empty() && options.architecture != name) {
        return error(StatusCode::InvalidArgument,
                     "the model is the architecture %s, so it cannot be the architecture %s", name.c_str(),
                     options.architecture.c_str());
    }
    if (const auto known = findArchitecture(name); !known.ok()) {
        const std::string hint = isThere(name) ? "; for the file or folder of this name write ./" + name : "";
        return Status(known.status().code(), known.status().message() + hint);
    }
    if (options.weights.empty()) {
        return error(StatusCode::InvalidArgument,
                     "%s is an architecture without weights: add --weights FILE, or --weights synthetic for a formula",
                     name.c_str());
    }
    Request request;
    request.architecture = name;
    if (options.weights == kSynthetic) return request;
    request.weights = options.weights;
    const fs::path path = options.weights;
    const bool folder = isFolder(path);
    DUNLIN_TRY(readConfig(folder ? path : path.parent_path(), request));
    if (folder) {
        DUNLIN_ASSIGN(const fs::path file, weightsIn(path));
        request.weights = file.string();
    }
    return request;
}

Result<Request> resolve(const std::string& name, const ModelOptions& options) {
    if (name.empty()) return error(StatusCode::InvalidArgument, "the model's name is empty");
    if (options.bytes) return requestBytes(name, options);
    if (!options.config.empty()) {
        return error(StatusCode::InvalidArgument, "a config.json as text belongs to weights in memory; %s has none",
                     name.c_str());
    }
    if (!looksLikePath(name)) return requestArchitecture(name, options);
    if (isFolder(name)) return requestFolder(name, options);
    if (!isThere(name)) return error(StatusCode::BadFile, "%s: there is no such file or folder", name.c_str());
    return requestFile(name, options);
}

// Which network the files hold, and what is known of it before its weights are looked at closely.
Result<Recognised> chooseArchitecture(const Request& request, const CanonicalWeights& weights) {
    std::string name = request.architecture;
    std::string saidBy;
    if (name.empty() && request.config && !request.config->architecture.empty()) {
        name = request.config->architecture;
        saidBy = request.configFile;
    }
    if (name.empty() && weights.isFormula()) {
        return error(StatusCode::InvalidArgument, "formula weights need the name of an architecture");
    }
    if (name.empty()) {
        const bool pytorch = weights.scheme().padsSymmetrically;
        auto recognised = recognise(weights, pytorch ? TrainedWith::PyTorch : TrainedWith::Unknown);
        if (!recognised.ok()) return recognised.status().withContext(request.weights);
        return recognised;
    }
    auto architecture = findArchitecture(name);
    if (architecture.ok()) return Recognised{*std::move(architecture), {}, {}};
    if (saidBy.empty()) return architecture.status();
    return Status(StatusCode::BadFile, saidBy + ": " + architecture.status().message());
}

// The tensor whose rows are the classes.
std::string classifierOf(const Graph& graph) {
    if (const auto* linear = graph.producerAs<Linear>(graph.output())) return linear->parameters.weight;
    if (const auto* conv = graph.producerAs<Conv2d>(graph.output())) return conv->parameters.weight;
    return {};
}

// The classifier's shape says how many classes there are, whatever else is written anywhere.
Status countClasses(const Architecture& architecture, const CanonicalWeights& weights, ArchitectureOptions& options) {
    const std::string name = classifierOf(architecture.build(options, smallestInput(architecture)));
    const auto classifier = std::ranges::find(weights.tensors(), name, &TensorInfo::name);
    if (classifier == weights.tensors().end() || classifier->shape.empty()) return {};  // checkWeights reports it
    if (classifier->shape[0] < 1 || classifier->shape[0] > kMaxClasses) {
        return error(StatusCode::BadFile, "%s is %s, but a network has 1 to %d classes", name.c_str(),
                     describeShape(classifier->shape).c_str(), kMaxClasses);
    }
    options.classes = static_cast<int>(classifier->shape[0]);
    return {};
}

Status chooseOptions(const Request& request, const ModelOptions& asked, const CanonicalWeights& weights,
                     const Architecture& architecture, ArchitectureOptions& options) {
    options.batchNormEpsilon = weights.scheme().batchNormEpsilon;
    // Arguments belong to the architecture that they were written for.
    if (request.config && (request.config->architecture.empty() || request.config->architecture == architecture.name)) {
        if (request.config->classes) options.classes = *request.config->classes;
        DUNLIN_TRY(request.config->modelArguments.check(architecture).withContext(request.configFile));
        request.config->modelArguments.applyTo(options);
    }
    if (!asked.modelArguments.empty()) {
        const auto arguments = parseModelArguments(asked.modelArguments);
        if (!arguments.ok()) {
            return Status(StatusCode::InvalidArgument, "the model arguments: " + arguments.status().message());
        }
        if (const Status known = arguments->check(architecture); !known.ok()) {
            return Status(StatusCode::InvalidArgument, "the model arguments: " + known.message());
        }
        arguments->applyTo(options);
    }
    return countClasses(architecture, weights, options).withContext(request.weights);
}

Status chooseLabels(const Request& request, int classes, Model& model) {
    model.labelOffset = classes == kTensorFlowClasses ? 1 : 0;
    if (!request.config) return {};
    model.labelOffset = request.config->labelOffset;
    model.labels = request.config->labels;
    if (model.labels.empty()) return {};
    const auto count = static_cast<int>(model.labels.size());
    if (count == classes) return {};
    if (count + model.labelOffset == classes) {
        model.labels.insert(model.labels.begin(), "background");
        return {};
    }
    return error(StatusCode::BadFile, "%s: it names %d classes, but the network has %d", request.configFile.c_str(),
                 count, classes);
}

Result<Graph> buildChecked(const Architecture& architecture, const ArchitectureOptions& options, const Shape& input) {
    if (input.n < 1 || input.n > kMaxBatch) {
        return error(StatusCode::InvalidArgument, "a batch of %d images is not possible, only 1 to %d", input.n,
                     kMaxBatch);
    }
    if (std::min(input.h, input.w) < kMinInputSide || std::max(input.h, input.w) > kMaxInputSide) {
        return error(StatusCode::InvalidArgument, "an input of %dx%d pixels is not possible, only %dx%d to %dx%d",
                     input.h, input.w, kMinInputSide, kMinInputSide, kMaxInputSide, kMaxInputSide);
    }
    if (const int multiple = architecture.sizeMultiple; input.h % multiple != 0 || input.w % multiple != 0) {
        return error(StatusCode::InvalidArgument, "an input of %dx%d pixels is not possible, %s takes multiples of %d",
                     input.h, input.w, architecture.name.c_str(), multiple);
    }
    if (input.c != 3)
        return error(StatusCode::InvalidArgument, "an input of %d channels is not possible, only 3", input.c);
    return architecture.build(options, input);
}

// The file that has the last word on the input's size.
const std::string& sizeSaidBy(const Request& request) {
    const bool isPreprocessors = request.preprocessor && request.preprocessor->crop;
    return isPreprocessors ? request.preprocessorFile : request.configFile;
}

Result<std::shared_ptr<const CanonicalWeights>> openSource(const Request& request, const ModelOptions& options,
                                                           Model& model) {
    if (request.weights.empty()) {
        model.weightsDescription = kSynthetic;
        return withCanonicalNames(formulaWeights(options.runningVarianceScale));
    }
    model.weightsDescription = request.weights;
    DUNLIN_ASSIGN(const FileBytes file, request.bytes ? Result(*request.bytes) : openFile(request.weights));
    model.weightsBytes = file.bytes.size();
    DUNLIN_ASSIGN(auto source, openWeights(file));
    auto canonical = withCanonicalNames(std::move(source));
    if (!canonical.ok()) return canonical.status().withContext(model.weightsDescription);
    return canonical;
}

Result<std::shared_ptr<const Model>> open(const std::string& name, const ModelOptions& options) {
    DUNLIN_ASSIGN(const Request request, resolve(name, options));
    auto model = std::make_shared<Model>();
    DUNLIN_ASSIGN(const auto weights, openSource(request, options, *model));

    DUNLIN_ASSIGN(Recognised recognised, chooseArchitecture(request, *weights));
    model->architecture = std::move(recognised.architecture);
    model->options = recognised.options;
    if (!weights->scheme().padsSymmetrically) model->alsoFits = std::move(recognised.alsoFits);
    DUNLIN_TRY(chooseOptions(request, options, *weights, model->architecture, model->options));

    const bool isTold = request.config || request.preprocessor || weights->scheme().preprocess;
    if (!isTold && !weights->isFormula()) model->otherPublisher = model->architecture.otherPublisher;
    PreprocessSpec preprocess = model->architecture.preprocess;
    if (weights->scheme().preprocess) preprocess = specOf(*weights->scheme().preprocess);
    if (request.config) request.config->preprocess.applyTo(preprocess);
    if (request.preprocessor) {
        DUNLIN_TRY(request.preprocessor->applyTo(preprocess).withContext(request.preprocessorFile));
    }

    const Result<Graph> graph =
        buildChecked(model->architecture, model->options, {1, preprocess.inputHeight, preprocess.inputWidth, 3});
    // An architecture's own size is right, so a wrong one was read from a file.
    if (!graph.ok()) return Status(StatusCode::BadFile, sizeSaidBy(request) + ": " + graph.status().message());
    DUNLIN_TRY(
        checkWeights(*graph, *weights).withContext(model->weightsDescription + " as " + model->architecture.name));
    DUNLIN_TRY(chooseLabels(request, model->options.classes, *model));
    if (weights->isFormula()) model->weightsBytes = parameterBytes(*graph);

    model->data.architecture = model->architecture.name;
    model->data.weights = weights;
    model->data.preprocess = preprocess;
    model->data.classes = model->options.classes;
    model->data.buildGraph = [architecture = model->architecture, chosen = model->options](const Shape& input) {
        return buildChecked(architecture, chosen, input);
    };
    return std::shared_ptr<const Model>(std::move(model));
}

}  // namespace

Result<std::shared_ptr<const Model>> openModel(const std::string& name, const ModelOptions& options) {
    try {
        return open(name, options);
    } catch (const std::bad_alloc&) {
        return error(StatusCode::OutOfHostMemory, "no memory to open %s", name.c_str());
    }
}

}  // namespace dunlin
