/* Max and average pooling, in either layout: an element is a float, or a vector of images. */
#ifndef SECATEUR_POOL_H
#define SECATEUR_POOL_H

#include "isa.h"
#include "vector.h"

/* Which places of a window are inside the image, along one axis. */
struct window {
  int64_t first, last; /* places */
  int64_t at;          /* where place 0 lies */
  int64_t padded;      /* places inside the image or its padding: what count_include_pad counts */
};

static struct window window_at(int64_t out, int64_t stride, int64_t pad, int64_t dilation,
                               int64_t kernel, int64_t size) {
  struct window window = {.at = out * stride - pad};
  int64_t from = window.at;
  window.first = from < 0 ? min(ceil_div(-from, dilation), kernel) : 0;
  window.last =
      from >= size ? window.first : max(window.first, min(kernel, ceil_div(size - from, dilation)));
  window.padded = max(0, min(kernel, ceil_div(size + pad - from, dilation)));
  return window;
}

enum reduction { MAXIMUM, MEAN };

ALWAYS void pool_plane(const secateur_op *op, const float *x, float *y, const enum reduction what,
                       const int64_t element) {
  const secateur_shape *s = &op->shape;
  int fuse_relu = op->flags & SECATEUR_FUSE_RELU;
  for (int64_t row = 0; row < s->out_height; row++) {
    struct window h = window_at(row, s->stride_height, s->pad_top, s->dilation_height,
                                s->kernel_height, s->in_height);
    for (int64_t column = 0; column < s->out_width; column++, y += element) {
      struct window w = window_at(column, s->stride_width, s->pad_left, s->dilation_width,
                                  s->kernel_width, s->in_width);
      float start = what == MAXIMUM ? -__builtin_inff() : 0;
      vec sums = splat(start);
      float sum = start;
      for (int64_t i = h.first; i < h.last; i++)
        for (int64_t j = w.first; j < w.last; j++) {
          const float *at =
              x + ((h.at + i * s->dilation_height) * s->in_width + w.at + j * s->dilation_width) *
                      element;
          if (element == 1) sum = what == MAXIMUM ? nan_max1(sum, *at) : sum + *at;
          else sums = what == MAXIMUM ? nan_max(sums, load(at)) : sums + load(at);
        }
      if (what == MEAN) {
        int64_t count = op->flags & SECATEUR_COUNT_PADDING
                            ? h.padded * w.padded
                            : (h.last - h.first) * (w.last - w.first);
        sum /= (float)count;
        sums /= splat((float)count);
      }
      if (element == 1) *y = fuse_relu ? relu1(sum) : sum;
      else store(y, fuse_relu ? relu(sums) : sums);
    }
  }
}

/* Two by two with stride two and no padding, the one that nets are full of: whole vectors, no
 * windows to work out. */
ALWAYS void max_pool_2x2_lanes(const secateur_op *op, const float *x, float *y) {
  const secateur_shape *s = &op->shape;
  int64_t row_floats = (int64_t)s->in_width * LANES;
  for (int64_t row = 0; row < s->out_height; row++, x += 2 * row_floats)
    for (int64_t column = 0; column < s->out_width; column++, y += LANES) {
      const float *at = x + column * 2 * LANES;
      vec top = nan_max(load(at), load(at + LANES));
      vec low = nan_max(load(at + row_floats), load(at + row_floats + LANES));
      vec best = nan_max(top, low);
      store(y, op->flags & SECATEUR_FUSE_RELU ? relu(best) : best);
    }
}

ALWAYS void max_pool_2x2_plain(const secateur_op *op, const float *x, float *y) {
  const secateur_shape *s = &op->shape;
  int fuse_relu = op->flags & SECATEUR_FUSE_RELU;
  for (int64_t row = 0; row < s->out_height; row++, x += 2 * s->in_width, y += s->out_width) {
    const float *top = x, *low = x + s->in_width;
    int64_t column = 0;
    for (; column + LANES <= s->out_width; column += LANES) {
      const float *a = top + 2 * column, *b = low + 2 * column;
      vec left = nan_max(load(a), load(b)), w = nan_max(load(a + LANES), load(b + LANES));
      vec best = nan_max(EVEN_LANES(left, w), ODD_LANES(left, w));
      store(y + column, fuse_relu ? relu(best) : best);
    }
    for (; column < s->out_width; column++) {
      const float *a = top + 2 * column, *b = low + 2 * column;
      float best = nan_max1(nan_max1(a[0], a[1]), nan_max1(b[0], b[1]));
      y[column] = fuse_relu ? relu1(best) : best;
    }
  }
}

static int is_2x2(const secateur_shape *s) {
  return s->kernel_height == 2 && s->kernel_width == 2 && s->stride_height == 2 &&
         s->stride_width == 2 && s->pad_top == 0 && s->pad_left == 0 && s->dilation_height == 1 &&
         s->dilation_width == 1 && s->out_height * 2 <= s->in_height &&
         s->out_width * 2 <= s->in_width;
}

/* Items: images (or lane tiles) x channels. */
static void run_pool(const struct job *job, int64_t first, int64_t last, enum reduction what) {
  const secateur_op *op = job->op;
  const secateur_shape *s = &op->shape;
  int lanes = op->in_layout == SECATEUR_LANES;
  int64_t element = lanes ? LANES : 1;
  int64_t in_plane = (int64_t)s->in_height * s->in_width * element;
  int64_t out_plane = (int64_t)s->out_height * s->out_width * element;
  int quick = what == MAXIMUM && is_2x2(s);
  for (; first < last; first++) {
    const float *x = job->input + first * in_plane;
    float *y = job->output + first * out_plane;
    if (quick && lanes) max_pool_2x2_lanes(op, x, y);
    else if (quick) max_pool_2x2_plain(op, x, y);
    else if (what == MAXIMUM && lanes) pool_plane(op, x, y, MAXIMUM, LANES);
    else if (what == MAXIMUM) pool_plane(op, x, y, MAXIMUM, 1);
    else if (lanes) pool_plane(op, x, y, MEAN, LANES);
    else pool_plane(op, x, y, MEAN, 1);
  }
}

static void run_max_pool(const struct job *job, int64_t first, int64_t last, float *scratch) {
  (void)scratch;
  run_pool(job, first, last, MAXIMUM);
}

static void run_avg_pool(const struct job *job, int64_t first, int64_t last, float *scratch) {
  (void)scratch;
  run_pool(job, first, last, MEAN);
}

static void run_global_avg_pool(const struct job *job, int64_t first, int64_t last,
                                float *scratch) {
  const secateur_op *op = job->op;
  int64_t plane = (int64_t)op->shape.in_height * op->shape.in_width;
  int fuse_relu = op->flags & SECATEUR_FUSE_RELU, lanes = op->in_layout == SECATEUR_LANES;
  (void)scratch;
  for (; first < last; first++) {
    if (lanes) {
      const float *x = job->input + first * plane * LANES;
      vec sums = {0};
      for (int64_t i = 0; i < plane; i++) sums += load(x + i * LANES);
      sums /= splat((float)plane);
      store(job->output + first * LANES, fuse_relu ? relu(sums) : sums);
      continue;
    }
    const float *x = job->input + first * plane;
    vec sums = {0};
    float sum = 0;
    int64_t i = 0;
    for (; i + LANES <= plane; i += LANES) sums += load(x + i);
    for (; i < plane; i++) sum += x[i];
    for (int lane = 0; lane < LANES; lane++) sum += sums[lane];
    sum /= (float)plane;
    job->output[first] = fuse_relu ? relu1(sum) : sum;
  }
}

#endif
