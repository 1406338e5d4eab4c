/* The microkernel: a tile of T vectors of output, for some output channels, over one block.
 *
 * Each weight is loaded into all lanes once and multiplied with T vectors of input, which are the
 * memory operands of the T multiply-adds. With two loads and two multiply-adds a cycle that is
 * T + 1 loads for T multiply-adds: T >= 4 loses at most a fifth, and 8 or more chains hide the
 * latency of the multiply-add (T of one channel run on while the next channel begins).
 * Sharing an input load among channels does not pay: at 90 % zeros, four channels share one in
 * seven. What pays is that the input lies in the L1 cache: hence the blocks. */
#ifndef SECATEUR_TILE_H
#define SECATEUR_TILE_H

#include "pack.h"
#include "vector.h"

struct tile {
  const float *x;         /* where the tile's first vector would be read for index 0 */
  float *y; /* where its first vector is written for output channel `first_channel` */
  int64_t y_stride; /* floats between output channels */
  int64_t first, last; /* rows of `order` and `indptr` */
  int32_t first_channel;
  const int32_t *order;
  const int64_t *indptr;
  const void *indices;
  const float *values;
  const float *bias; /* NULL: go on from what y holds */
  int32_t fuse_relu;
};

ALWAYS void tile_rows(const struct tile *tile, const int T, const int wide) {
  const uint16_t *narrow_indices = tile->indices;
  const uint32_t *wide_indices = tile->indices;
  for (int64_t row = tile->first; row < tile->last; row++) {
    int32_t channel = tile->order[row];
    float *y = tile->y + (channel - tile->first_channel) * tile->y_stride;
    vec sum[MAX_TILE];
    if (tile->bias) {
      vec bias = splat(tile->bias[channel]);
      UNROLL for (int t = 0; t < T; t++) sum[t] = bias;
    } else {
      UNROLL for (int t = 0; t < T; t++) sum[t] = load(y + t * LANES);
    }
    for (int64_t i = tile->indptr[row]; i < tile->indptr[row + 1]; i++) {
      const float *x = tile->x + (wide ? wide_indices[i] : narrow_indices[i]);
      vec weight = splat(tile->values[i]);
      UNROLL for (int t = 0; t < T; t++) sum[t] += weight * load(x + t * LANES);
    }
    if (tile->fuse_relu) { UNROLL for (int t = 0; t < T; t++) sum[t] = relu(sum[t]); }
    UNROLL for (int t = 0; t < T; t++) store(y + t * LANES, sum[t]);
  }
}

#define TILE_SIZES_12(X) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12)
#define TILE_SIZES_24(X)                                                                           \
  TILE_SIZES_12(X) X(13) X(14) X(15) X(16) X(17) X(18) X(19) X(20) X(21) X(22) X(23) X(24)
#if MAX_TILE == 12
#define TILE_SIZES TILE_SIZES_12
#else
#define TILE_SIZES TILE_SIZES_24
#endif

#define TILE_FUNCTIONS(T)                                                                          \
  static void tile_narrow_##T(const struct tile *tile) { tile_rows(tile, T, 0); }                  \
  static void tile_wide_##T(const struct tile *tile) { tile_rows(tile, T, 1); }
TILE_SIZES(TILE_FUNCTIONS)

#define TILE_ENTRY(T) {tile_narrow_##T, tile_wide_##T},
static void (*const tile_of_size[MAX_TILE + 1][2])(const struct tile *) = {{0, 0},
                                                                           TILE_SIZES(TILE_ENTRY)};

#endif
