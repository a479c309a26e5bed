#include "runtime/plan/program.h"

#include <cstdio>
#include <set>

#include "runtime/plan/form_candidates.h"
#include "runtime/plan/lower.h"

namespace dunlin {
namespace {

std::string describeBindings(const Program& program, const Dispatch& dispatch, bool writes) {
    std::string text;
    for (const Binding& binding : dispatch.bindings) {
        if (binding.tensor < 0 || binding.write != writes) continue;
        const Tensor& tensor = program.tensors[static_cast<size_t>(binding.tensor)];
        if (tensor.storage == Storage::Constant) continue;
        if (!text.empty()) text += ' ';
        text += tensor.name;
        const bool whole = binding.offsetBytes == 0 && binding.sizeBytes == tensor.sizeBytes;
        if (whole || tensor.storage == Storage::Output) continue;
        char range[64];
        std::snprintf(range, sizeof range, "[%llu+%llu]", static_cast<unsigned long long>(binding.offsetBytes),
                      static_cast<unsigned long long>(binding.sizeBytes));
        text += range;
    }
    return text;
}

}  // namespace

size_t countPipelines(const Program& program) {
    std::set<Variant> variants;
    for (const Dispatch& dispatch : program.dispatches) variants.insert(dispatch.variant);
    return variants.size();
}

std::string print(const Program& program) {
    std::string text;
    for (size_t i = 0; i < program.dispatches.size(); ++i) {
        const Dispatch& dispatch = program.dispatches[i];
        char line[160];
        std::snprintf(line, sizeof line, "%4zu  %-24s %5u x %u x %u  ", i, dispatch.name.c_str(),
                      dispatch.workgroups[0], dispatch.workgroups[1], dispatch.workgroups[2]);
        text.append(line).append(describeBindings(program, dispatch, false)).append(" -> ");
        text.append(describeBindings(program, dispatch, true))
            .append("  ")
            .append(describe(dispatch.variant))
            .append("\n");
    }
    return text;
}

std::string print(const LoweredNetwork& network) {
    const std::string program = print(network.program);
    std::string text;
    size_t begin = 0;
    for (const DispatchOrigin& origin : network.origins) {
        const size_t end = program.find('\n', begin);
        const Kernel kernel = kernelOf(origin.call);
        text.append(program, begin, end - begin).append("  [").append(formName(kernel, origin.form));
        if (origin.form == origin.defaultForm) {
            text += ", default]\n";
        } else {
            text.append(", tuned; default ").append(formName(kernel, origin.defaultForm)).append("]\n");
        }
        begin = end + 1;
    }
    return text;
}

}  // namespace dunlin
