/* Products of two values, and channels that go elsewhere: to others, or to rows and columns. */
#ifndef SECATEUR_JOINED_H
#define SECATEUR_JOINED_H

#include "isa.h"
#include "vector.h"

/* Items: chunks of all floats. */
static void run_mul(const struct job *job, int64_t first, int64_t last, float *scratch) {
  const float *a = job->input, *b = job->other;
  float *y = job->output;
  int64_t i = first * CHUNK, end = min(last * CHUNK, floats_of(job));
  (void)scratch;
  for (; i + LANES <= end; i += LANES) store(y + i, load(a + i) * load(b + i));
  for (; i < end; i++) y[i] = a[i] * b[i];
}

/* Items: images (or lane tiles) x channels. */
static void run_scale(const struct job *job, int64_t first, int64_t last, float *scratch) {
  const secateur_op *op = job->op;
  int lanes = op->in_layout == SECATEUR_LANES;
  int64_t plane = (int64_t)op->shape.in_height * op->shape.in_width * (lanes ? LANES : 1);
  (void)scratch;
  for (; first < last; first++) {
    const float *x = job->input + first * plane;
    float *y = job->output + first * plane;
    float one = lanes ? 0 : job->other[first];
    vec factor = lanes ? load(job->other + first * LANES) : splat(one);
    int64_t i = 0;
    for (; i + LANES <= plane; i += LANES) store(y + i, load(x + i) * factor);
    for (; i < plane; i++) y[i] = x[i] * one; /* none of whole vectors */
  }
}

/* Items: images (or lane tiles). */
static void run_place(const struct job *job, int64_t first, int64_t last, float *scratch) {
  const secateur_shape *s = &job->op->shape;
  int64_t plane = (int64_t)s->in_height * s->in_width;
  if (job->op->in_layout == SECATEUR_LANES) plane *= LANES;
  int64_t floats = s->in_channels * plane, step = s->out_channels * plane;
  float *y = job->output + s->pad_top * plane;
  (void)scratch;
  for (; first < last; first++)
    memcpy(y + first * step, job->input + first * floats, floats * sizeof *y);
}

/* Items: images (or lane tiles) x channels of the output. */
static void run_shuffle(const struct job *job, int64_t first, int64_t last, float *scratch) {
  const secateur_shape *s = &job->op->shape;
  int64_t element = job->op->in_layout == SECATEUR_LANES ? LANES : 1;
  int64_t plane = (int64_t)s->in_height * s->in_width * element;
  int64_t phases = (int64_t)s->stride_height * s->stride_width;
  (void)scratch;
  for (; first < last; first++) {
    const float *from = job->input + first * phases * plane;
    float *y = job->output + first * s->out_height * s->out_width * element;
    for (int64_t row = 0; row < s->out_height; row++) {
      int64_t down = row + s->pad_top;
      const float *line = from + down % s->stride_height * s->stride_width * plane +
                          down / s->stride_height * s->in_width * element;
      for (int64_t column = 0; column < s->out_width; column++, y += element) {
        int64_t along = column + s->pad_left;
        const float *x = line + along % s->stride_width * plane + along / s->stride_width * element;
        if (element == 1) *y = *x;
        else store(y, load(x));
      }
    }
  }
}

#endif
