// What was found out on a device about the forms of kernels, as the lowering takes it.
#pragma once

#include <map>
#include <set>
#include <string>

namespace dunlin {

// Plain data, which may come from a file. A name that is no candidate of its problem on this device is passed over
// (LoweredNetwork::ignoredForms), so no form is out of the device's limits or computes something else. But a candidate
// is believed: whoever makes the table sees that this device's driver gets it right, which some do not (tuning).
struct FormTable {
    std::map<std::string, std::string> forms;  // by formKey(): formName()
    // formKey() of joined dispatches (block_fusion.h) that are one even with FusionLevel::Default.
    std::set<std::string> fusedBlocks;

    bool empty() const { return forms.empty() && fusedBlocks.empty(); }
    bool operator==(const FormTable&) const = default;
};

}  // namespace dunlin
