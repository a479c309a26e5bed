// What a compiler made of pipelines, as a table that fits a page and shows every change as a changed line.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>
#include <vector>

#include "tools/bench/shader_cost/pipeline_list.h"

namespace dunlin::shader_cost {

// Of one pipeline, as RADV counts. A spilled register is a slot of scratch memory that the shader writes and reads.
struct Cost {
    uint32_t vectorRegisters = 0, scalarRegisters = 0;  // of one invocation, and of a subgroup
    uint32_t spilledVectors = 0, spilledScalars = 0;
    uint32_t scratchBytes = 0;      // of a subgroup
    uint32_t sharedBytes = 0;       // of a workgroup
    uint32_t subgroupsPerSimd = 0;  // that registers and shared memory leave room for
    uint32_t codeBytes = 0;
    // Cycles of a subgroup by the compiler's model, which guesses how often loops run: to compare forms, not to
    // predict.
    uint32_t latency = 0, inverseThroughput = 0;

    bool spills() const { return spilledVectors > 0 || spilledScalars > 0 || scratchBytes > 0; }
};

struct CompiledPipeline {
    ListedPipeline listed;
    Cost cost;
};

// From the statistics by RADV's names (pipeline_statistics.h). BadInput where one is missing: another driver.
cli::Outcome<Cost> costOf(const nlohmann::ordered_json& statistics);

// The pipelines of one module for one use: the worst of each figure, but the mean of those that say how much work there
// is (bytes of code, cycles), so that no pipeline's change goes unseen.
struct CostRow {
    Use use = Use::Default;
    std::string module;
    size_t pipelines = 0;
    Cost cost;
};
// By use, then in the order of the pipelines.
std::vector<CostRow> rowsOf(std::span<const CompiledPipeline> pipelines);

// Markdown: who compiled, then a table for each use.
std::string markdown(const std::string& gpu, const std::string& driver, std::span<const CompiledPipeline> pipelines);
// Every pipeline by itself.
nlohmann::ordered_json json(const std::string& gpu, const std::string& driver,
                            std::span<const CompiledPipeline> pipelines);

}  // namespace dunlin::shader_cost
