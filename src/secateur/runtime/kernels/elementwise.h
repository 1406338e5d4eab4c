/* What has no weights and no neighbours: copy, ReLU, change of layout, add, affine. */
#ifndef SECATEUR_ELEMENTWISE_H
#define SECATEUR_ELEMENTWISE_H

#include "isa.h"
#include "vector.h"

static int wants_relu(const secateur_op *op) {
  return op->kind == SECATEUR_RELU || op->flags & SECATEUR_FUSE_RELU;
}

static int64_t features_of(const secateur_shape *shape) {
  return (int64_t)shape->in_channels * shape->in_height * shape->in_width;
}

/* Floats of a tensor, the unused lanes of the last tile included. */
static int64_t floats_of(const struct job *job) {
  int64_t images = job->op->in_layout == SECATEUR_LANES ? round_up(job->batch, LANES) : job->batch;
  return images * features_of(&job->op->shape);
}

static void run_same_layout(const struct job *job, int64_t begin, int64_t end) {
  const float *x = job->input;
  float *y = job->output;
  if (!wants_relu(job->op)) {
    if (x != y) memmove(y + begin, x + begin, (end - begin) * sizeof *y);
    return;
  }
  int64_t i = begin;
  for (; i + LANES <= end; i += LANES) store(y + i, relu(load(x + i)));
  for (; i < end; i++) y[i] = relu1(x[i]);
}

/* Items: chunks of all floats; if the layout changes, lane tiles x chunks of LANES features. */
static void run_copy(const struct job *job, int64_t first, int64_t last, float *scratch) {
  const secateur_op *op = job->op;
  int64_t features = features_of(&op->shape);
  (void)scratch;
  if (op->in_layout == op->out_layout) {
    run_same_layout(job, first * CHUNK, min(last * CHUNK, floats_of(job)));
    return;
  }
  int64_t chunk = CHUNK / LANES, chunks = ceil_div(features, chunk);
  for (; first < last; first++) {
    int64_t tile = first / chunks, at = first % chunks * chunk;
    int64_t count = min(chunk, features - at), images = min(job->batch - tile * LANES, LANES);
    int64_t plain = tile * LANES * features + at, lanes = (tile * features + at) * LANES;
    float *lanes_out = job->output + lanes;
    struct places places = {count, LANES, NULL};
    if (op->in_layout == SECATEUR_LANES) {
      scatter_lanes(job->input + lanes, &places, images, job->output + plain, features);
      if (wants_relu(op))
        for (int64_t image = 0; image < images; image++)
          for (int64_t i = 0; i < count; i++) {
            float *y = job->output + plain + image * features + i;
            *y = relu1(*y);
          }
      continue;
    }
    gather_lanes(job->input + plain, features, images, lanes_out, &places);
    if (wants_relu(op))
      for (int64_t i = 0; i < count * LANES; i += LANES)
        store(lanes_out + i, relu(load(lanes_out + i)));
  }
}

/* Items: chunks of all floats. */
static void run_add(const struct job *job, int64_t first, int64_t last, float *scratch) {
  const float *a = job->input, *b = job->other;
  float *y = job->output;
  int fuse_relu = wants_relu(job->op);
  int64_t i = first * CHUNK, end = min(last * CHUNK, floats_of(job));
  (void)scratch;
  for (; i + LANES <= end; i += LANES) {
    vec sum = load(a + i) + load(b + i);
    store(y + i, fuse_relu ? relu(sum) : sum);
  }
  for (; i < end; i++) y[i] = fuse_relu ? relu1(a[i] + b[i]) : a[i] + b[i];
}

/* Items: images (or lane tiles) x channels. */
static void run_affine(const struct job *job, int64_t first, int64_t last, float *scratch) {
  const secateur_op *op = job->op;
  int64_t channels = op->shape.in_channels;
  int64_t plane = (int64_t)op->shape.in_height * op->shape.in_width;
  const float *scale = op->pack, *shift = scale + channels;
  int fuse_relu = wants_relu(op);
  (void)scratch;
  if (op->in_layout == SECATEUR_LANES) plane *= LANES;
  for (; first < last; first++) {
    const float *x = job->input + first * plane;
    float *y = job->output + first * plane, a = scale[first % channels],
          b = shift[first % channels];
    int64_t i = 0;
    for (; i + LANES <= plane; i += LANES) {
      vec value = load(x + i) * splat(a) + splat(b);
      store(y + i, fuse_relu ? relu(value) : value);
    }
    for (; i < plane; i++) y[i] = fuse_relu ? relu1(x[i] * a + b) : x[i] * a + b;
  }
}

#endif
