/* The input of a block in the thread's scratch, padded and sorted by phase. */
#ifndef SECATEUR_COPY_H
#define SECATEUR_COPY_H

#include "isa.h"
#include "vector.h"

/* Rows of the copy up to so many vectors are copied with masks. */
#define EDGE_VECTORS 8

struct conv {
  const struct pack *pack;
  const struct job *job;
  const int32_t *group, *order;
  const int64_t *indptr;
  float *copy, *strip; /* in the thread's scratch */
  int32_t *in_places, *out_places; /* of whole rows of input in the copy, and of a strip's output */
  ivec edge[EDGE_VECTORS]; /* ones where a row of the copy is inside the image, zeros elsewhere */
  int64_t unit, row; /* of the (unit, block) in hand: the unit, and its first output row */
};

/* The vectors of one position: of the `part`-th LANES images of the unit. */
ALWAYS int64_t lane_tile(const struct conv *conv, int64_t part) {
  return conv->unit * (conv->pack->width / LANES) + part;
}

/* What of one axis of the copy lies inside the image: positions first to last, of which the first is
 * at input `at`. */
struct inside {
  int64_t first, last, at;
};

static struct inside inside_of(int64_t positions, int64_t shift, int64_t stride, int64_t size) {
  struct inside in;
  in.first = shift < 0 ? min(ceil_div(-shift, stride), positions) : 0;
  in.last = shift >= size ? 0 : min(ceil_div(size - shift, stride), positions);
  in.last = max(in.first, in.last);
  in.at = in.first * stride + shift;
  return in;
}

/* A row of the copy in whole vectors: what is outside the image is masked, what is too much is written
 * over by the row below. Reads up to a vector on either side of the row: only within the input. */
ALWAYS void copy_row_masked(const struct conv *conv, const float *x, float *y) {
  int64_t vectors = ceil_div(conv->pack->row_width, LANES);
  for (int64_t v = 0; v < vectors; v++)
    store(y + v * LANES, (vec)((ivec)load(x + v * LANES) & conv->edge[v]));
}

static int in_bounds(const struct conv *conv, const float *x) {
  const secateur_shape *s = &conv->pack->shape;
  int64_t floats = conv->job->batch * s->in_channels * s->in_height * s->in_width;
  int64_t begin = x - conv->job->input;
  return begin >= 0 && begin + round_up(conv->pack->row_width, LANES) <= floats;
}

/* The inside of a plane: image by image, a row at a time. */
static void copy_by_image(const struct conv *conv, int64_t channel, float *to, struct inside h,
                          struct inside w) {
  const secateur_shape *shape = &conv->pack->shape;
  const float *from = conv->job->input + (conv->unit * shape->in_channels + channel) *
                                             shape->in_height * shape->in_width;
  int64_t count = w.last - w.first, step = shape->stride_width;
  int masked = step == 1 && conv->pack->row_width <= EDGE_VECTORS * LANES;
  for (int64_t row = h.first; row < h.last; row++) {
    const float *x =
        from + (h.at + (row - h.first) * shape->stride_height) * shape->in_width + w.at;
    float *y = to + row * conv->pack->row_width;
    if (masked && in_bounds(conv, x - w.first)) {
      copy_row_masked(conv, x - w.first, y);
      continue;
    }
    zero_floats(y, w.first);
    zero_floats(y + w.last, conv->pack->row_width - w.last);
    if (step == 1) copy_floats(y + w.first, x, count);
    else
      for (int64_t i = 0; i < count; i++) y[w.first + i] = x[i * step];
  }
}

/* The same from PLAIN images to the lanes of one vector of each position. */
static void copy_to_lanes(const struct conv *conv, const float *from, int64_t images, float *to,
                          struct inside h, struct inside w) {
  const struct pack *pack = conv->pack;
  const secateur_shape *shape = &pack->shape;
  int64_t features = (int64_t)shape->in_channels * shape->in_height * shape->in_width;
  int64_t rows = h.last - h.first, count = w.last - w.first;
  int64_t step = shape->stride_width, row_floats = (int64_t)pack->row_width * pack->width;
  from += h.at * shape->in_width + w.at;
  to += h.first * row_floats + w.first * pack->width;
  if (step == 1 && shape->stride_height == 1 && count == shape->in_width) {
    struct places whole = {rows * count, 0, conv->in_places}; /* one row behind the other */
    gather_lanes(from, features, images, to, &whole);
    return;
  }
  for (int64_t row = 0; row < rows; row++) {
    const float *x = from + row * shape->stride_height * shape->in_width;
    float *y = to + row * row_floats;
    struct places one = {step == 1 ? count : 1, pack->width, NULL};
    for (int64_t i = 0; i < count; i += one.count)
      gather_lanes(x + i * step, features, images, y + i * pack->width, &one);
  }
}

/* The same from LANES. */
static void copy_lanes(const struct conv *conv, const float *from, float *to, struct inside h,
                       struct inside w) {
  const struct pack *pack = conv->pack;
  const secateur_shape *shape = &pack->shape;
  for (int64_t row = h.first; row < h.last; row++) {
    const float *x =
        from + ((h.at + (row - h.first) * shape->stride_height) * shape->in_width + w.at) * LANES;
    float *y = to + (row * pack->row_width + w.first) * pack->width;
    for (int64_t i = 0; i < w.last - w.first; i++)
      store(y + i * pack->width, load(x + i * shape->stride_width * LANES));
  }
}

/* The inside of a plane, by lane, and the zeros beside it. */
static void copy_by_lane(const struct conv *conv, int64_t channel, float *to, struct inside h,
                         struct inside w) {
  const struct pack *pack = conv->pack;
  int64_t width = pack->width, row_floats = pack->row_width * width, batch = conv->job->batch;
  int64_t plane = (int64_t)pack->shape.in_height * pack->shape.in_width;
  int64_t features = pack->shape.in_channels * plane;
  for (int64_t row = h.first; row < h.last; row++) {
    zero_floats(to + row * row_floats, w.first * width);
    zero_floats(to + row * row_floats + w.last * width, row_floats - w.last * width);
  }
  for (int64_t part = 0; part < width / LANES; part++) {
    int64_t tile = min(lane_tile(conv, part), ceil_div(batch, LANES) - 1);
    const float *from = conv->job->input + tile * LANES * features;
    if (pack->in_layout == SECATEUR_LANES)
      copy_lanes(conv, from + channel * plane * LANES, to + part * LANES, h, w);
    else
      copy_to_lanes(conv, from + channel * plane, min(batch - tile * LANES, LANES),
                    to + part * LANES, h, w);
  }
}

/* One channel and phase of a block's input, zeros around it. From top to bottom: a row by image may
 * be written a little too far. */
static void copy_plane(const struct conv *conv, int64_t channel, int64_t rows, int32_t phase_h,
                       int32_t phase_w, float *to) {
  const struct pack *pack = conv->pack;
  const secateur_shape *shape = &pack->shape;
  int64_t row_floats = (int64_t)pack->row_width * pack->width;
  int64_t above = conv->row * shape->stride_height + phase_h - shape->pad_top;
  struct inside h = inside_of(rows, above, shape->stride_height, shape->in_height);
  struct inside w =
      inside_of(pack->row_width, phase_w - shape->pad_left, shape->stride_width, shape->in_width);
  if (w.first == w.last) h.last = h.first;
  zero_floats(to, h.first * row_floats);
  if (h.first < h.last && pack->width > 1) copy_by_lane(conv, channel, to, h, w);
  else if (h.first < h.last) copy_by_image(conv, channel, to, h, w);
  /* The last vector of a strip by image reaches beyond the plane: into zeros, not into what happens to
   * be there. The next plane is written over them. */
  int64_t beyond = pack->width == 1 ? LANES : 0;
  zero_floats(to + h.last * row_floats, (rows - h.last) * row_floats + beyond);
}

/* A linear layer's input: its channels are the positions. Some at a time for all parts of the unit, so
 * that the lines they are written to are still in the L1 cache when the next part comes. */
static void copy_features(const struct conv *conv) {
  const struct pack *pack = conv->pack;
  int64_t features = pack->shape.in_channels, width = pack->width, batch = conv->job->batch;
  for (int64_t at = 0; at < features; at += 4 * LANES) {
    struct places places = {min(4 * LANES, features - at), width, NULL};
    for (int64_t part = 0; part < width / LANES; part++) {
      int64_t tile = min(lane_tile(conv, part), ceil_div(batch, LANES) - 1);
      const float *from = conv->job->input + tile * LANES * features;
      float *to = conv->copy + at * width + part * LANES;
      if (pack->in_layout == SECATEUR_PLAIN)
        gather_lanes(from + at, features, min(batch - tile * LANES, LANES), to, &places);
      else
        for (int64_t i = 0; i < places.count; i++)
          store(to + i * width, load(from + (at + i) * LANES));
    }
  }
}

/* The input of a block, padded and sorted by phase: [channel][phase h][phase w][row][column].
 */
static void copy_block(const struct conv *conv, int64_t rows) {
  const struct pack *pack = conv->pack;
  if (pack->kind == SECATEUR_LINEAR) {
    copy_features(conv);
    return;
  }
  int64_t phase_floats =
      (int64_t)(pack->block_rows + pack->h.reach) * pack->row_width * pack->width;
  float *to = conv->copy;
  for (int64_t channel = 0; channel < pack->shape.in_channels; channel++)
    for (int32_t h = 0; h < pack->h.phases; h++)
      for (int32_t w = 0; w < pack->w.phases; w++, to += phase_floats)
        copy_plane(conv, channel, rows + pack->h.reach, pack->h.phase[h], pack->w.phase[w], to);
}

static void fill_edges(struct conv *conv) {
  const struct pack *pack = conv->pack;
  struct inside w =
      inside_of(pack->row_width, pack->w.phase[0] - pack->shape.pad_left, 1, pack->shape.in_width);
  for (int64_t i = 0; i < EDGE_VECTORS * LANES; i++)
    conv->edge[i / LANES][i % LANES] = i >= w.first && i < w.last ? -1 : 0;
}

#endif
