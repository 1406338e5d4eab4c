/* One instruction set's kernels, as the rest of the library sees them. Internal.
 *
 * An op is cut into equal items; a thread gets a range of them. `scratch` is the thread's own. */
#ifndef SECATEUR_ISA_H
#define SECATEUR_ISA_H

#include "pack.h"

struct job {
  const secateur_op *op;
  const float *input, *other;
  float *output;
  int64_t batch;
};

typedef void (*kernel)(const struct job *job, int64_t first, int64_t last, float *scratch);

/* What one thread does of a product or a gradient over nonzeros. */
struct nonzeros_share {
  const secateur_nonzeros *nonzeros;
  const float *values, *bias; /* product */
  const float *input;
  float *output;             /* product */
  const float *outer;        /* gradient */
  float *gradient;           /* gradient */
  int64_t first_plane, last_plane;
  int64_t first_tile, last_tile; /* product: of all rows' tiles of output */
};

struct isa {
  const char *name;
  int32_t lanes;    /* floats of a vector */
  int32_t max_tile; /* vectors that fit the registers as sums, beside a weight and an input */
  kernel dot, conv, copy, add, affine, max_pool, avg_pool, global_avg_pool;
  kernel activate, mul, scale, place, shuffle;
  void (*nonzeros_product)(const struct nonzeros_share *share);
  void (*nonzeros_gradient)(const struct nonzeros_share *share);
};

/* The floats that are copied, added or converted as one item. */
#define CHUNK 4096

extern const struct isa secateur_portable;
#if defined(SECATEUR_X86)
extern const struct isa secateur_avx2, secateur_avx512;
#endif

#endif
