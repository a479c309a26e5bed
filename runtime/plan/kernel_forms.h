// Which form of a kernel to use for a layer when nothing has been measured on the device: per family of drivers, after
// the measurements that shaders/README.md records. Results do not hang on it, only speed.
#pragma once

#include <optional>

#include "runtime/plan/dispatch_builders.h"
#include "runtime/plan/limits.h"

namespace dunlin {

KernelForm pointwiseForm(const DeviceLimits& limits, int64_t pixels, int outGroups);
KernelForm conv2dForm(const DeviceLimits& limits, const Shape& out);
KernelForm depthwiseForm(const DeviceLimits& limits, const Shape& out, int kernelSide, bool squeeze);
KernelForm squeezeExciteForm(const DeviceLimits& limits);
KernelForm poolForm(const DeviceLimits& limits, const Shape& in);
KernelForm headForm(const DeviceLimits& limits);
KernelForm preprocessForm(const DeviceLimits& limits);
// export, embedTokens, resize, maxPool
KernelForm elementwiseForm(const DeviceLimits& limits);
// On GPUs this was reasoned from registers, not measured: an invocation holds the queries and results of whole heads,
// 128 floats for one query of 64 channels. Four queries share each key only on desktop GPUs, where they take no more
// than that (heads of up to 16 channels: 32 would take all 256 that an invocation can have) and still fill the device.
// Wide heads on mobile GPUs spill.
KernelForm attentionForm(const DeviceLimits& limits, const AttentionCall& call);
KernelForm separableAttentionForm(const DeviceLimits& limits, const Shape& out);
KernelForm layerNormForm(const DeviceLimits& limits, const Shape& out);
KernelForm momentsForm(const DeviceLimits& limits);
KernelForm pooledLinearForm(const DeviceLimits& limits, const Shape& in, int outGroups);
// Nothing where shared memory or registers do not allow it.
std::optional<KernelForm> invertedResidualForm(const DeviceLimits& limits, const InvertedResidualCall& call);

}  // namespace dunlin
