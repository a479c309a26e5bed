// Activations, in the order of enum Activation in runtime/graph/ops.h. `kind` is a specialization constant wherever
// this is called, so that one case is left in each pipeline.
#ifndef DUNLIN_ACTIVATION_GLSL
#define DUNLIN_ACTIVATION_GLSL

const uint kActivationNone = 0u;
const uint kActivationRelu = 1u;
const uint kActivationRelu6 = 2u;
const uint kActivationHardSwish = 3u;
const uint kActivationHardSigmoid = 4u;
const uint kActivationSilu = 5u;
const uint kActivationSigmoid = 6u;
const uint kActivationGelu = 7u;
const uint kActivationGeluTanh = 8u;

// GLSL has no erf. Abramowitz and Stegun 7.1.26, absolute error 1.5e-7.
vec4 errorFunction(vec4 x) {
    const vec4 t = 1.0 / (1.0 + 0.3275911 * abs(x));
    const vec4 polynomial =
        t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))));
    return sign(x) * (1.0 - polynomial * exp(-x * x));
}

vec4 sigmoid(vec4 x) { return 1.0 / (1.0 + exp(-x)); }

// Without early returns, which make drivers' compilers slow.
vec4 activate(vec4 x, uint kind) {
    vec4 y = x;
    if (kind == kActivationRelu) y = max(x, 0.0);
    if (kind == kActivationRelu6) y = clamp(x, 0.0, 6.0);
    if (kind == kActivationHardSwish) y = x * clamp(x + 3.0, 0.0, 6.0) * (1.0 / 6.0);
    if (kind == kActivationHardSigmoid) y = clamp(x + 3.0, 0.0, 6.0) * (1.0 / 6.0);
    if (kind == kActivationSilu) y = x * sigmoid(x);
    if (kind == kActivationSigmoid) y = sigmoid(x);
    if (kind == kActivationGelu) y = 0.5 * x * (1.0 + errorFunction(x * 0.70710678));
    // tanh(u) = 2 sigmoid(2u) - 1, which does not overflow.
    if (kind == kActivationGeluTanh) y = x * sigmoid(1.59576912 * (x + 0.044715 * x * x * x));
    return y;
}

#endif
