/* Functions of single numbers, a vector at a time: what nets have between their layers. */
#ifndef SECATEUR_ACTIVATE_H
#define SECATEUR_ACTIVATE_H

#include "isa.h"
#include "vector.h"

typedef uint32_t uvec __attribute__((vector_size(4 * LANES)));
typedef vec (*function_of_vec)(vec x, vec a, vec b);

ALWAYS vec choose(ivec mask, vec yes, vec no) {
  return (vec)(((ivec)yes & mask) | ((ivec)no & ~mask));
}

/* A NaN stays one: it is neither below nor above. */
ALWAYS vec clamp(vec x, vec low, vec high) {
  x = choose(x < low, low, x);
  return choose(x > high, high, x);
}

/* e^x to two units in the last place, from e^-87 to e^88: 2^n, n the nearest whole number to
 * x / ln 2, times a polynomial of the rest (Cephes, expf). */
ALWAYS vec exp_of(vec x) {
  vec within = clamp(x, splat(-87.0f), splat(88.0f));
  vec shifted = within * splat(1.44269504088896341f) + splat(12582912.0f); /* 1.5 x 2^23: rounds */
  vec whole = shifted - splat(12582912.0f);
  vec rest = within - whole * splat(0.693359375f) - whole * splat(-2.12194440e-4f);
  vec sum = rest * splat(1.9875691500e-4f) + splat(1.3981999507e-3f);
  sum = sum * rest + splat(8.3334519073e-3f);
  sum = sum * rest + splat(4.1665795894e-2f);
  sum = sum * rest + splat(1.6666665459e-1f);
  sum = sum * rest + splat(5.0000001201e-1f);
  sum = sum * rest * rest + rest + splat(1.0f);
  vec power = (vec)((uvec)sum + ((uvec)shifted << 23));
  return choose(x == x, power, x);
}

ALWAYS vec sigmoid(vec x) { return splat(1.0f) / (splat(1.0f) + exp_of(-x)); }

ALWAYS vec wave(vec x) { return splat(1.0f) - splat(2.0f) / (exp_of(x + x) + splat(1.0f)); }

/* The error function to 1.5e-7 (Abramowitz and Stegun, 7.1.26). */
ALWAYS vec erf_of(vec x) {
  vec size = choose(x < splat(0.0f), -x, x);
  vec t = splat(1.0f) / (splat(1.0f) + splat(0.3275911f) * size);
  vec sum = t * splat(1.061405429f) + splat(-1.453152027f);
  sum = sum * t + splat(1.421413741f);
  sum = sum * t + splat(-0.284496736f);
  sum = sum * t + splat(0.254829592f);
  vec made = splat(1.0f) - sum * t * exp_of(-size * size);
  return choose(x < splat(0.0f), -made, made);
}

ALWAYS vec hard_sigmoid(vec x) {
  return clamp(x + splat(3.0f), splat(0.0f), splat(6.0f)) / splat(6.0f);
}

ALWAYS vec do_leaky(vec x, vec a, vec b) {
  (void)b;
  return choose(x < splat(0.0f), x * a, x);
}
ALWAYS vec do_elu(vec x, vec a, vec b) {
  (void)b;
  return choose(x < splat(0.0f), a * (exp_of(x) - splat(1.0f)), x);
}
/* A function that takes no numbers beside its own. */
#define OF_ONE(name, value)                                                                        \
  ALWAYS vec name(vec x, vec a, vec b) {                                                           \
    (void)a, (void)b;                                                                              \
    return value;                                                                                  \
  }

OF_ONE(do_sigmoid, sigmoid(x))
OF_ONE(do_hard_sigmoid, hard_sigmoid(x))
OF_ONE(do_silu, sigmoid(x) * x)
OF_ONE(do_hard_swish, hard_sigmoid(x) * x)
OF_ONE(do_tanh, wave(x))
OF_ONE(do_gelu, splat(0.5f) * x * (splat(1.0f) + erf_of(x * splat(0.70710678118654752f))))

ALWAYS vec do_gelu_tanh(vec x, vec a, vec b) {
  (void)a, (void)b;
  vec inner = splat(0.79788456080286536f) * (x + splat(0.044715f) * x * x * x);
  return splat(0.5f) * x * (splat(1.0f) + wave(inner));
}

ALWAYS void over(const function_of_vec function, const float *x, float *y, int64_t count, vec a,
                 vec b) {
  int64_t i = 0;
  for (; i + LANES <= count; i += LANES) store(y + i, function(load(x + i), a, b));
  if (i == count) return;
  float rest[LANES] = {0};
  for (int64_t k = i; k < count; k++) rest[k - i] = x[k];
  store(rest, function(load(rest), a, b));
  for (int64_t k = i; k < count; k++) y[k] = rest[k - i];
}

/* Items: chunks of all floats. */
static void run_activate(const struct job *job, int64_t first, int64_t last, float *scratch) {
  const secateur_op *op = job->op;
  const float *given = op->pack;
  vec a = splat(given ? given[0] : 0), b = splat(given ? given[1] : 0);
  int64_t begin = first * CHUNK, count = min(last * CHUNK, floats_of(job)) - begin;
  const float *x = job->input + begin;
  float *y = job->output + begin;
  (void)scratch;
  switch (op->flags >> SECATEUR_FUNCTION_SHIFT) {
    case SECATEUR_CLAMP:
      over(clamp, x, y, count, a, b);
      break;
    case SECATEUR_LEAKY:
      over(do_leaky, x, y, count, a, b);
      break;
    case SECATEUR_ELU:
      over(do_elu, x, y, count, a, b);
      break;
    case SECATEUR_SIGMOID:
      over(do_sigmoid, x, y, count, a, b);
      break;
    case SECATEUR_HARD_SIGMOID:
      over(do_hard_sigmoid, x, y, count, a, b);
      break;
    case SECATEUR_SILU:
      over(do_silu, x, y, count, a, b);
      break;
    case SECATEUR_HARD_SWISH:
      over(do_hard_swish, x, y, count, a, b);
      break;
    case SECATEUR_TANH:
      over(do_tanh, x, y, count, a, b);
      break;
    case SECATEUR_GELU:
      over(do_gelu, x, y, count, a, b);
      break;
    default:
      over(do_gelu_tanh, x, y, count, a, b);
  }
}

#endif
