/* What is inside a pack, and how a convolution is cut up. Internal.
 *
 * Everything that computes with weights, but for the dot products, is one engine: a direct sparse
 * convolution. A linear layer is a convolution of a 1 x 1 image.
 *
 *   unit    what is in the vectors: `width` images side by side (by lane), or one image (width 1)
 *   block   some output rows whose input, copied with its padding, stays in the L2 cache
 *   strip    output rows that are computed as one run of positions, wrap-around columns included
 *   tile    a piece of a strip that fits the vector registers; the microkernel's unit
 *   block   some input channels whose part of a tile's input stays in the L1 cache
 *   group   some output channels with about the same number of weights: the unit that threads share
 *
 * A thread copies the input of a (unit, block) into its own scratch, once, then for every tile, block
 * and output channel of its groups: sum += weight x (a vector of input), for each non-zero weight.
 * The position of a weight's input relative to the tile is a constant that is worked out when packed.
 *
 * Stride: the copy is sorted by phase (position mod stride), so that neighbours in the output are
 * neighbours in the copy and one microkernel serves every stride and dilation.
 */
#ifndef SECATEUR_PACK_H
#define SECATEUR_PACK_H

#include <stddef.h>

#include "secateur.h"

#define PACK_MAGIC 0x53454341u /* "SECA" */
#define ALIGNMENT 64 /* of packs, scratch and the arrays within */
#define MAX_PHASES 64 /* more would need a stride and a kernel beyond it: a bad argument */

struct axis {          /* one axis of the image */
  int32_t phases;      /* distinct (place x dilation) mod stride */
  int32_t phase[MAX_PHASES];
  int32_t reach;       /* the largest (place x dilation) div stride */
};

struct pack {
  uint32_t magic;
  int32_t abi;
  int64_t bytes;
  char isa[16];
  int32_t kind, in_layout, out_layout, algorithm;
  secateur_shape shape;
  int32_t index_bits;
  int32_t tile;
  int32_t width;      /* floats of a position: lanes of a unit, 1 by image */
  int32_t block_rows; /* output rows of a block */
  int32_t strip_rows;  /* output rows of a strip */
  int32_t row_width;  /* positions of a row of the copy */
  int32_t plane;      /* floats of one channel of the copy */
  int32_t block_channels, blocks;
  int32_t groups;
  struct axis h, w;
  int64_t nonzeros, stored;
  /* where the arrays are, in bytes from the beginning of the pack */
  int64_t bias;   /* float[out_channels] */
  int64_t group;  /* int32[groups + 1]: first output channel of a group */
  int64_t order; /* int32[blocks][out_channels]: output channel; within a group by falling count */
  int64_t indptr; /* int64[blocks x out_channels + 1]: in the order of `order` */
  int64_t indices; /* uint16 or uint32[stored]: floats from the block's first channel */
  int64_t values; /* float[stored] */
};

static inline const void *pack_at(const struct pack *pack, int64_t offset) {
  return (const char *)pack + offset;
}

static inline int64_t min(int64_t a, int64_t b) { return a < b ? a : b; }
static inline int64_t max(int64_t a, int64_t b) { return a > b ? a : b; }
static inline int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }
static inline int64_t round_up(int64_t a, int64_t b) { return ceil_div(a, b) * b; }

/* Every size of a shape is one that sums and products of a few of them can hold in 64 bits. */
static inline int is_size(int64_t value) { return value >= 1 && value <= 1 << 24; }

static inline int shape_is_sane(const secateur_shape *s) {
  int64_t limit = (int64_t)1 << 40;
  return is_size(s->in_channels) && is_size(s->in_height) && is_size(s->in_width) &&
         is_size(s->out_channels) && is_size(s->out_height) && is_size(s->out_width) &&
         is_size(s->kernel_height) && is_size(s->kernel_width) && is_size(s->stride_height) &&
         is_size(s->stride_width) && is_size(s->dilation_height) && is_size(s->dilation_width) &&
         s->pad_top >= 0 && s->pad_top <= 1 << 24 && s->pad_left >= 0 && s->pad_left <= 1 << 24 &&
         (int64_t)s->in_height * s->in_width <= limit / s->in_channels &&
         (int64_t)s->out_height * s->out_width <= limit / s->out_channels &&
         (int64_t)s->kernel_height * s->kernel_width <= limit / s->in_channels / s->out_channels;
}

/* Positions of a strip of `rows` output rows: whole rows of the copy, the last one cut short. */
static inline int64_t strip_positions(const struct pack *pack, int64_t rows) {
  return (rows - 1) * pack->row_width + pack->shape.out_width;
}

#endif
