/* Products and gradients over nonzeros, with the batch in the vectors.
 *
 * The product is the microkernel of `tile.h` once more, but nothing is copied or packed: a row of
 * output, all images of all its positions, is one run of floats, and so is what a nonzero reads for it.
 *
 * The gradient of a nonzero is the dot product of two such runs. Eight nonzeros of one plane go together:
 * one load of the outer gradient serves eight multiply-adds, and eight chains hide their latency.
 * Rows are cut into pieces, of which the outer one stays in the L1 cache for all nonzeros of the plane. */
#ifndef SECATEUR_NONZEROS_H
#define SECATEUR_NONZEROS_H

#include "isa.h"
#include "vector.h"

/* Vectors of a piece: nine runs of so many AVX2 vectors fill the L1 cache. */
#define MAX_PIECE 96
#define NONZEROS_TOGETHER 8

ALWAYS void product_planes(const struct nonzeros_share *share, const float *x, float *y,
                           const int T) {
  const secateur_nonzeros *nonzeros = share->nonzeros;
  int64_t step = nonzeros->height * nonzeros->width * nonzeros->batch;
  y += share->first_plane * step;
  for (int64_t plane = share->first_plane; plane < share->last_plane; plane++, y += step) {
    vec sum[MAX_TILE];
    vec bias = splat(share->bias ? share->bias[plane] : 0);
    UNROLL for (int t = 0; t < T; t++) sum[t] = bias;
    for (int64_t i = nonzeros->indptr[plane]; i < nonzeros->indptr[plane + 1]; i++) {
      const float *from = x + nonzeros->indices[i] * nonzeros->batch;
      vec weight = splat(share->values[i]);
      UNROLL for (int t = 0; t < T; t++) sum[t] += weight * load(from + t * LANES);
    }
    UNROLL for (int t = 0; t < T; t++) store(y + t * LANES, sum[t]);
  }
}

#define PRODUCT_FUNCTION(T)                                                                        \
  static void product_##T(const struct nonzeros_share *share, const float *x, float *y) {          \
    product_planes(share, x, y, T);                                                                \
  }
TILE_SIZES(PRODUCT_FUNCTION)

#define PRODUCT_ENTRY(T) product_##T,
static void (*const product_of_size[MAX_TILE + 1])(const struct nonzeros_share *, const float *,
                                                   float *) = {0, TILE_SIZES(PRODUCT_ENTRY)};

static void run_nonzeros_product(const struct nonzeros_share *share) {
  const secateur_nonzeros *nonzeros = share->nonzeros;
  int64_t vectors = nonzeros->width * nonzeros->batch / LANES, tiles = ceil_div(vectors, MAX_TILE);
  for (int64_t i = share->first_tile; i < share->last_tile; i++) {
    int64_t row = i / tiles, tile = i % tiles;
    int64_t begin = vectors * tile / tiles, end = vectors * (tile + 1) / tiles;
    const float *x = share->input + row * nonzeros->pitch * nonzeros->batch + begin * LANES;
    float *y = share->output + row * nonzeros->width * nonzeros->batch + begin * LANES;
    product_of_size[end - begin](share, x, y);
  }
}

/* Sums of neighbours: of a in the lower half, of b in the upper one. */
ALWAYS vec add_pairs(vec a, vec b) { return EVEN_LANES(a, b) + ODD_LANES(a, b); }

/* Adds the sum over the lanes of each of eight vectors to one of eight numbers. */
ALWAYS void add_sums(const vec sum[NONZEROS_TOGETHER], float *to) {
  vec a = add_pairs(add_pairs(sum[0], sum[1]), add_pairs(sum[2], sum[3]));
  vec b = add_pairs(add_pairs(sum[4], sum[5]), add_pairs(sum[6], sum[7]));
#if LANES == 4
  store(to, load(to) + a);
  store(to + LANES, load(to + LANES) + b);
#elif LANES == 8
  store(to, load(to) + add_pairs(a, b));
#else
  vec both = add_pairs(a, b);
  both = add_pairs(both, both);
  for (int k = 0; k < NONZEROS_TOGETHER; k++) to[k] += both[k];
#endif
}

/* Up to eight nonzeros over `floats` floats; `to` has room for eight. */
ALWAYS void gradient_of_nonzeros(const float *outer, const float *x, const int32_t *indices,
                                 int64_t batch, int64_t floats, float *to, const int count) {
  const float *from[NONZEROS_TOGETHER];
  vec sum[NONZEROS_TOGETHER] = {{0}};
  UNROLL for (int k = 0; k < count; k++) from[k] = x + indices[k] * batch;
  for (int64_t i = 0; i < floats; i += LANES) {
    vec factor = load(outer + i);
    UNROLL for (int k = 0; k < count; k++) sum[k] += factor * load(from[k] + i);
  }
  add_sums(sum, to);
}

/* The nonzeros of a plane that are left when they have gone by eights. */
static void gradient_of_few(const float *outer, const float *x, const int32_t *indices,
                            int64_t batch, int64_t floats, float *to, int64_t count) {
  float sums[NONZEROS_TOGETHER] = {0};
  switch (count) {
#define FEW(N)                                                                                     \
  case N:                                                                                          \
    gradient_of_nonzeros(outer, x, indices, batch, floats, sums, N);                               \
    break;
    FEW(1) FEW(2) FEW(3) FEW(4) FEW(5) FEW(6) FEW(7)
  }
  for (int64_t k = 0; k < count; k++) to[k] += sums[k];
}

static void run_nonzeros_gradient(const struct nonzeros_share *share) {
  const secateur_nonzeros *nonzeros = share->nonzeros;
  int64_t batch = nonzeros->batch, row_floats = nonzeros->width * batch,
          max_floats = MAX_PIECE * LANES;
  zero_floats(share->gradient + nonzeros->indptr[share->first_plane],
              nonzeros->indptr[share->last_plane] - nonzeros->indptr[share->first_plane]);
  for (int64_t row = 0; row < nonzeros->height; row++)
    for (int64_t at = 0; at < row_floats; at += max_floats) {
      int64_t floats = min(max_floats, row_floats - at);
      const float *x = share->input + row * nonzeros->pitch * batch + at;
      for (int64_t plane = share->first_plane; plane < share->last_plane; plane++) {
        const float *outer = share->outer + (plane * nonzeros->height + row) * row_floats + at;
        int64_t i = nonzeros->indptr[plane], end = nonzeros->indptr[plane + 1];
        for (; i + NONZEROS_TOGETHER <= end; i += NONZEROS_TOGETHER)
          gradient_of_nonzeros(outer, x, nonzeros->indices + i, batch, floats, share->gradient + i,
                               NONZEROS_TOGETHER);
        if (i < end)
          gradient_of_few(outer, x, nonzeros->indices + i, batch, floats, share->gradient + i,
                          end - i);
      }
    }
}

#endif
