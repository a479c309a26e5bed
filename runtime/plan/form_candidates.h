// In which forms a kernel can be run for a layer, and what they are called.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "runtime/plan/dispatch_builders.h"
#include "runtime/plan/form_table.h"
#include "runtime/plan/kernels.h"
#include "runtime/plan/limits.h"

namespace dunlin {

// What is to be computed, and how it is by default. Borrows.
struct FormProblem {
    const KernelCall& call;
    const Extent& extent;
    const KernelForm& defaultForm;
    Precision precision;
    const DeviceLimits& limits;
};

// A method's form on this device. Nothing where it is not compiled for that precision or load path, or where the device
// lacks what it needs.
std::optional<KernelForm> formOf(const MethodRow& way, LoadPath load, Precision precision, const DeviceLimits& limits);

// Every form that the kernel was compiled for and that fits the device, the default first: each tile and load path,
// with the default's workgroup and, where that may pay, some others; methods on real GPUs; matrices where at least half
// of what they compute is asked for. Left out are tiles of attention that take software drivers seconds to compile. Of
// preprocess, tiles are kinds of source (params.h). What tuning may choose among, and all that a table of chosen forms
// can name. Pure.
std::vector<KernelForm> formCandidates(const FormProblem& problem);

// The call as this dispatch alone would be given it: partial sums, whose number hangs on the form, begin at partial 0.
KernelCall inFormAlone(const KernelCall& call, const KernelForm& form, const Extent& extent);

// "tile4x1-texel-local16-lanes8": different for any two candidates of a call. The one text that stands for a form, in
// ids and in files; what has no form of this name is no candidate, so nothing needs to read it back.
std::string formName(Kernel kernel, const KernelForm& form);

// The candidate that the table names under this key, else the default; and a sentence where it names one that is none.
// Of preprocess, only forms with the default's source: that is the session's business.
struct FormChoice {
    KernelForm form;
    std::string ignored;  // empty: nothing was
};
FormChoice chooseForm(const FormTable& table, const std::string& key, const FormProblem& problem);

}  // namespace dunlin
