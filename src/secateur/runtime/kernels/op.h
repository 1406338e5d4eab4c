/* What an op is to those who run it: its sizes, its kernel, and how it is cut into items. Internal. */
#ifndef SECATEUR_OP_H
#define SECATEUR_OP_H

#include "isa.h"

static inline int64_t in_features(const secateur_shape *s) {
  return (int64_t)s->in_channels * s->in_height * s->in_width;
}

static inline int64_t out_features(const secateur_shape *s) {
  return (int64_t)s->out_channels * s->out_height * s->out_width;
}

/* Whether an op reads two values, and the features of the second. */
static inline int reads_two(const secateur_op *op) {
  return op->kind == SECATEUR_ADD || op->kind == SECATEUR_MUL || op->kind == SECATEUR_SCALE;
}

static inline int64_t other_features(const secateur_op *op) {
  return op->kind == SECATEUR_SCALE ? op->shape.in_channels : in_features(&op->shape);
}

/* Images in memory: the unused lanes of the last tile count. */
static inline int64_t images_in(int32_t layout, int64_t batch, int32_t lanes) {
  return layout == SECATEUR_LANES ? round_up(batch, lanes) : batch;
}

kernel kernel_of(const secateur_op *op, const struct isa *isa);
int64_t items_of(const secateur_op *op, int64_t batch, int32_t lanes);

/* A guess at the cycles of the whole op. */
int64_t work_of(const secateur_op *op, int64_t batch, int32_t lanes);

/* From one thread's scratch to the next one's, in bytes. */
int64_t scratch_step(const secateur_op *ops, int32_t n_ops, int32_t lanes);

#endif
