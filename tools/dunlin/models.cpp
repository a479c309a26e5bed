// dunlin models: the networks that can be built.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "tools/dunlin/commands.h"
#include "tools/dunlin/library.h"
#include "tools/dunlin/output.h"

namespace dunlin::cli {

Outcome<ExitStatus> models(const ModelsOptions& options) {
    using Json = nlohmann::ordered_json;
    using Align = Table::Align;
    DUNLIN_CLI_ASSIGN(const std::vector<DunlinArchitectureInfo> list, outcomeOf(architectures()));
    Json document = {{"models", Json::array()}};
    Table table({{"name"},
                 {"family"},
                 {"parameters", Align::Right},
                 {"multiply-adds", Align::Right},
                 {"input", Align::Right},
                 {"shipped weights"}});
    for (const DunlinArchitectureInfo& model : list) {
        document["models"].push_back({{"name", model.name},
                                      {"family", model.family},
                                      {"parameters", model.parameters},
                                      {"macs", model.macs},
                                      {"input", {3, model.inputHeight, model.inputWidth}},
                                      {"licence", model.licence ? Json(model.licence) : Json()}});
        table.addRow({model.name, model.family, formatCount(model.parameters), formatCount(model.macs),
                      fmt::format("{}x{}", model.inputHeight, model.inputWidth), model.licence ? model.licence : ""});
    }
    if (options.json) {
        printJson(document);
    } else {
        printOut("{}", table.text());
    }
    return ExitStatus::Done;
}

}  // namespace dunlin::cli
