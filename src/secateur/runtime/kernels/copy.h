/* The input of a super in the thread's scratch, padded and sorted by phase. */
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
  const int64_t *starts;
  float *copy, *band; /* in the thread's scratch */
  int32_t *in_places, *out_places; /* of whole rows of input in the copy, and of a band's output */
  ivec edge[EDGE_VECTORS]; /* ones where a row of the copy is inside the image, zeros elsewhere */
  int64_t unit, row;  /* of the (unit, super) in hand: the unit, and its first output row */
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
  in.first = shift < 0 ? least(ceil_div(-shift, stride), positions) : 0;
  in.last = shift >= size ? 0 : least(ceil_div(size - shift, stride), positions);
  in.last = most(in.first, in.last);
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
static void copy_by_image(const struct conv *conv, int64_t channel, float *to, struct inside down,
                          struct inside right) {
  const secateur_shape *shape = &conv->pack->shape;
  const float *from = conv->job->input + (conv->unit * shape->in_channels + channel) *
                                             shape->in_height * shape->in_width;
  int64_t count = right.last - right.first, step = shape->stride_width;
  int masked = step == 1 && conv->pack->row_width <= EDGE_VECTORS * LANES;
  for (int64_t row = down.first; row < down.last; row++) {
    const float *x = from + (down.at + (row - down.first) * shape->stride_height) * shape->in_width +
                     right.at;
    float *y = to + row * conv->pack->row_width;
    if (masked && in_bounds(conv, x - right.first)) {
      copy_row_masked(conv, x - right.first, y);
      continue;
    }
    zero_floats(y, right.first);
    zero_floats(y + right.last, conv->pack->row_width - right.last);
    if (step == 1) copy_floats(y + right.first, x, count);
    else for (int64_t i = 0; i < count; i++) y[right.first + i] = x[i * step];
  }
}

/* The same from PLAIN images to the lanes of one vector of each position. */
static void copy_to_lanes(const struct conv *conv, const float *from, int64_t images, float *to,
                          struct inside down, struct inside right) {
  const struct pack *pack = conv->pack;
  const secateur_shape *shape = &pack->shape;
  int64_t features = (int64_t)shape->in_channels * shape->in_height * shape->in_width;
  int64_t rows = down.last - down.first, count = right.last - right.first;
  int64_t step = shape->stride_width, row_floats = (int64_t)pack->row_width * pack->width;
  from += down.at * shape->in_width + right.at;
  to += down.first * row_floats + right.first * pack->width;
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
static void copy_lanes(const struct conv *conv, const float *from, float *to, struct inside down,
                       struct inside right) {
  const struct pack *pack = conv->pack;
  const secateur_shape *shape = &pack->shape;
  for (int64_t row = down.first; row < down.last; row++) {
    const float *x =
        from + ((down.at + (row - down.first) * shape->stride_height) * shape->in_width + right.at) *
                   LANES;
    float *y = to + (row * pack->row_width + right.first) * pack->width;
    for (int64_t i = 0; i < right.last - right.first; i++)
      store(y + i * pack->width, load(x + i * shape->stride_width * LANES));
  }
}

/* The inside of a plane, by lane, and the zeros beside it. */
static void copy_by_lane(const struct conv *conv, int64_t channel, float *to, struct inside down,
                         struct inside right) {
  const struct pack *pack = conv->pack;
  int64_t width = pack->width, row_floats = pack->row_width * width, batch = conv->job->batch;
  int64_t plane = (int64_t)pack->shape.in_height * pack->shape.in_width;
  int64_t features = pack->shape.in_channels * plane;
  for (int64_t row = down.first; row < down.last; row++) {
    zero_floats(to + row * row_floats, right.first * width);
    zero_floats(to + row * row_floats + right.last * width, row_floats - right.last * width);
  }
  for (int64_t part = 0; part < width / LANES; part++) {
    int64_t tile = least(lane_tile(conv, part), ceil_div(batch, LANES) - 1);
    const float *from = conv->job->input + tile * LANES * features;
    if (pack->in_layout == SECATEUR_LANES)
      copy_lanes(conv, from + channel * plane * LANES, to + part * LANES, down, right);
    else
      copy_to_lanes(conv, from + channel * plane, least(batch - tile * LANES, LANES),
                    to + part * LANES, down, right);
  }
}

/* One channel and phase of a super's input, zeros around it. From top to bottom: a row by image may
 * be written a little too far. */
static void copy_plane(const struct conv *conv, int64_t channel, int64_t rows, int32_t phase_down,
                       int32_t phase_right, float *to) {
  const struct pack *pack = conv->pack;
  const secateur_shape *shape = &pack->shape;
  int64_t row_floats = (int64_t)pack->row_width * pack->width;
  int64_t above = conv->row * shape->stride_height + phase_down - shape->pad_top;
  struct inside down = inside_of(rows, above, shape->stride_height, shape->in_height);
  struct inside right = inside_of(pack->row_width, phase_right - shape->pad_left,
                                  shape->stride_width, shape->in_width);
  if (right.first == right.last) down.last = down.first;
  zero_floats(to, down.first * row_floats);
  if (down.first < down.last && pack->width > 1)
    copy_by_lane(conv, channel, to, down, right);
  else if (down.first < down.last)
    copy_by_image(conv, channel, to, down, right);
  /* The last vector of a band by image reaches beyond the plane: into zeros, not into what happens to
   * be there. The next plane is written over them. */
  int64_t beyond = pack->width == 1 ? LANES : 0;
  zero_floats(to + down.last * row_floats, (rows - down.last) * row_floats + beyond);
}

/* A linear layer's input: its channels are the positions. Some at a time for all parts of the unit, so
 * that the lines they are written to are still in the L1 cache when the next part comes. */
static void copy_features(const struct conv *conv) {
  const struct pack *pack = conv->pack;
  int64_t features = pack->shape.in_channels, width = pack->width, batch = conv->job->batch;
  for (int64_t at = 0; at < features; at += 4 * LANES) {
    struct places places = {least(4 * LANES, features - at), width, NULL};
    for (int64_t part = 0; part < width / LANES; part++) {
      int64_t tile = least(lane_tile(conv, part), ceil_div(batch, LANES) - 1);
      const float *from = conv->job->input + tile * LANES * features;
      float *to = conv->copy + at * width + part * LANES;
      if (pack->in_layout == SECATEUR_PLAIN)
        gather_lanes(from + at, features, least(batch - tile * LANES, LANES), to, &places);
      else
        for (int64_t i = 0; i < places.count; i++)
          store(to + i * width, load(from + (at + i) * LANES));
    }
  }
}

/* The input of a super, padded and sorted by phase: [channel][phase down][phase right][row][column].
 */
static void copy_super(const struct conv *conv, int64_t rows) {
  const struct pack *pack = conv->pack;
  if (pack->kind == SECATEUR_LINEAR) {
    copy_features(conv);
    return;
  }
  int64_t phase_floats =
      (int64_t)(pack->super_rows + pack->down.reach) * pack->row_width * pack->width;
  float *to = conv->copy;
  for (int64_t channel = 0; channel < pack->shape.in_channels; channel++)
    for (int32_t down = 0; down < pack->down.phases; down++)
      for (int32_t right = 0; right < pack->right.phases; right++, to += phase_floats)
        copy_plane(conv, channel, rows + pack->down.reach, pack->down.phase[down],
                   pack->right.phase[right], to);
}

static void fill_edges(struct conv *conv) {
  const struct pack *pack = conv->pack;
  struct inside right =
      inside_of(pack->row_width, pack->right.phase[0] - pack->shape.pad_left, 1, pack->shape.in_width);
  for (int64_t i = 0; i < EDGE_VECTORS * LANES; i++)
    conv->edge[i / LANES][i % LANES] = i >= right.first && i < right.last ? -1 : 0;
}

#endif
