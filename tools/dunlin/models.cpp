// dunlin models: the models that ship with this program, and the networks that can be built.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "tools/dunlin/commands.h"
#include "tools/dunlin/library.h"
#include "tools/dunlin/output.h"
#include "tools/dunlin/shipped.h"

namespace dunlin::cli {
namespace {

using Json = nlohmann::ordered_json;
using Align = Table::Align;

// One row: an architecture, or a shipped model, which has weights.
struct Listed {
    std::string name, family;
    uint64_t parameters, macs;
    uint32_t height, width;
    std::string architecture, licence;  // empty: no weights ship
};

Outcome<std::vector<Listed>> listShipped() {
    std::vector<Listed> list;
    for (const ShippedModel& shipped : shippedModels()) {
        DUNLIN_CLI_ASSIGN(const OpenedModel model, openModel({std::string(shipped.name), {}, {}}, {}));
        const DunlinModelInfo& info = model.info;
        list.push_back({std::string(shipped.name), info.family, info.parameters, info.macs, info.inputHeight,
                        info.inputWidth, info.architecture, licenceOf(shipped)});
    }
    return list;
}

Outcome<std::vector<Listed>> listArchitectures() {
    DUNLIN_CLI_ASSIGN(const std::vector<DunlinArchitectureInfo> infos, outcomeOf(architectures()));
    std::vector<Listed> list;
    for (const DunlinArchitectureInfo& info : infos) {
        list.push_back({info.name, info.family, info.parameters, info.macs, info.inputHeight, info.inputWidth, {}, {}});
    }
    return list;
}

Json jsonOf(const Listed& model) {
    const auto orNull = [](const std::string& text) { return text.empty() ? Json() : Json(text); };
    return {{"name", model.name},
            {"family", model.family},
            {"parameters", model.parameters},
            {"macs", model.macs},
            {"input", {3, model.height, model.width}},
            {"architecture", model.architecture.empty() ? model.name : model.architecture},
            {"shipped", !model.architecture.empty()},
            {"licence", orNull(model.licence)}};
}

void printShipped(const std::vector<Listed>& list) {
    if (list.empty()) return;
    Table table({{"shipped with weights"},
                 {"architecture"},
                 {"parameters", Align::Right},
                 {"multiply-adds", Align::Right},
                 {"input", Align::Right},
                 {"licence"}});
    for (const Listed& model : list) {
        table.addRow({model.name, model.architecture, formatCount(model.parameters), formatCount(model.macs),
                      fmt::format("{}x{}", model.height, model.width), model.licence});
    }
    printOut("{}\n", table.text());
}

void printArchitectures(const std::vector<Listed>& list) {
    Table table({{"architecture"},
                 {"family"},
                 {"parameters", Align::Right},
                 {"multiply-adds", Align::Right},
                 {"input", Align::Right}});
    for (const Listed& model : list) {
        table.addRow({model.name, model.family, formatCount(model.parameters), formatCount(model.macs),
                      fmt::format("{}x{}", model.height, model.width)});
    }
    printOut("{}", table.text());
}

}  // namespace

Outcome<ExitStatus> models(const ModelsOptions& options) {
    DUNLIN_CLI_ASSIGN(const std::vector<Listed> shipped, listShipped());
    DUNLIN_CLI_ASSIGN(const std::vector<Listed> architectures, listArchitectures());
    if (!options.json) {
        printShipped(shipped);
        printArchitectures(architectures);
        return ExitStatus::Done;
    }
    Json document = {{"models", Json::array()}};
    for (const std::vector<Listed>* list : {&shipped, &architectures}) {
        for (const Listed& model : *list) document["models"].push_back(jsonOf(model));
    }
    printJson(document);
    return ExitStatus::Done;
}

}  // namespace dunlin::cli
