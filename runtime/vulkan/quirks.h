// Workarounds for drivers that do worse than they say: one table, each row with the public report.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "runtime/plan/limits.h"

namespace dunlin::vulkan {

struct Capabilities;

struct Quirk {
    const char* name;
    const char* report;  // URL
    bool (*applies)(const Capabilities& capabilities);
    void (*apply)(DeviceLimits& limits);
};

std::span<const Quirk> quirks();
// Changes capabilities.limits and lists the names in capabilities.quirks.
void applyQuirks(Capabilities& capabilities);

}  // namespace dunlin::vulkan
