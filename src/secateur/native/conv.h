/* The convolution engine around the microkernel: copy the input in, run the tiles, write out. */
#ifndef SECATEUR_CONV_H
#define SECATEUR_CONV_H

#include "isa.h"
#include "tile.h"

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

/* Rows without the columns between them. A row may be written a vector too far, over the beginning of
 * the next one; not so the last, behind which another thread may be writing. */
static void write_rows(const float *from, int64_t from_width, float *to, int64_t width,
                       int64_t rows) {
  if (width >= LANES)
    for (; rows > 1; rows--, from += from_width, to += width)
      for (int64_t i = 0; i < width; i += LANES) store(to + i, load(from + i));
  for (; rows > 0; rows--, from += from_width, to += width) copy_floats(to, from, width);
}

/* A band's sums from the scratch to the output, for the channels of the groups in hand. */
static void write_band(const struct conv *conv, int64_t row, int64_t rows, int32_t first,
                       int32_t last, int64_t stride) {
  const struct pack *pack = conv->pack;
  const secateur_shape *shape = &pack->shape;
  int64_t plane = (int64_t)shape->out_height * shape->out_width;
  int64_t features = plane * shape->out_channels;
  int64_t at = first * plane + row * shape->out_width;
  if (pack->width == 1) {
    float *image = conv->job->output + conv->unit * features + at;
    for (int64_t channel = 0; channel < last - first; channel++)
      write_rows(conv->band + channel * stride, pack->row_width, image + channel * plane,
                 shape->out_width, rows);
    return;
  }
  int64_t batch = conv->job->batch;
  for (int64_t part = 0; part < pack->width / LANES; part++) {
    int64_t tile = lane_tile(conv, part), images = least(batch - tile * LANES, LANES);
    if (images <= 0) break;
    const float *from = conv->band + part * LANES;
    if (pack->out_layout == SECATEUR_LANES) {
      float *to = conv->job->output + (tile * features + at) * LANES;
      for (int64_t channel = 0; channel < last - first; channel++)
        for (int64_t y = 0; y < rows; y++)
          for (int64_t x = 0; x < shape->out_width; x++)
            store(to + (channel * plane + y * shape->out_width + x) * LANES,
                  load(from + channel * stride + (y * pack->row_width + x) * pack->width));
      continue;
    }
    float *to = conv->job->output + tile * LANES * features + at;
    if (plane == 1) { /* a linear layer: its channels are the positions */
      struct places places = {last - first, stride, NULL};
      scatter_lanes(from, &places, images, to, features);
      continue;
    }
    struct places places = {rows * shape->out_width, 0, conv->out_places};
    for (int64_t channel = 0; channel < last - first; channel++)
      scatter_lanes(from + channel * stride, &places, images, to + channel * plane, features);
  }
}

/* Output rows `row` to `row + rows` of the channels of some groups. */
static void run_band(const struct conv *conv, int64_t row, int64_t rows, int64_t first_group,
                     int64_t last_group) {
  const struct pack *pack = conv->pack;
  const secateur_shape *shape = &pack->shape;
  int64_t channels = shape->out_channels;
  int64_t floats = band_positions(pack, rows) * pack->width;
  int64_t vectors = ceil_div(floats, LANES), tiles = ceil_div(vectors, MAX_TILE);
  int64_t plane = (int64_t)shape->out_height * shape->out_width;
  int64_t row_floats = (int64_t)pack->row_width * pack->width;
  struct tile tile = {
      .first_channel = conv->group[first_group],
      .order = conv->order,
      .starts = conv->starts,
      .index = pack_at(pack, pack->index),
      .value = pack_at(pack, pack->value),
  };
  /* Straight into the output if the band is a piece of it: one row, no part of a vector too many. */
  int same = pack->width == 1 ? 1 : pack->width == LANES && pack->out_layout == SECATEUR_LANES;
  int straight = same && floats % LANES == 0 && (rows == 1 || pack->row_width == shape->out_width);
  float *y = conv->band;
  tile.y_stride = vectors * LANES;
  if (straight) {
    tile.y_stride = plane * pack->width;
    y = conv->job->output + ((conv->unit * channels + tile.first_channel) * plane +
                             row * shape->out_width) * pack->width;
  }
  const float *x = conv->copy + (row - conv->row) * row_floats;
  for (int64_t i = 0, at = 0; i < tiles; i++) {
    int64_t size = vectors / tiles + (i < vectors % tiles);
    void (*microkernel)(const struct tile *) = tile_of_size[size][pack->index_bits == 32];
    tile.y = y + at * LANES;
    for (int64_t block = 0; block < pack->blocks; block++) {
      tile.x = x + at * LANES + block * pack->block_channels * pack->plane;
      tile.first = block * channels + conv->group[first_group];
      tile.last = block * channels + conv->group[last_group];
      tile.bias = block == 0 ? pack_at(pack, pack->bias) : NULL;
      tile.fuse_relu = block == pack->blocks - 1 && (conv->job->op->flags & SECATEUR_FUSE_RELU);
      microkernel(&tile);
    }
    at += size;
  }
  if (!straight)
    write_band(conv, row, rows, tile.first_channel, conv->group[last_group], tile.y_stride);
}

/* Where positions of `rows` rows of `width` lie among rows of the copy. */
static void fill_places(int32_t *places, const struct pack *pack, int64_t rows, int64_t width) {
  for (int64_t row = 0; row < rows; row++)
    for (int64_t i = 0; i < width; i++)
      *places++ = (int32_t)((row * pack->row_width + i) * pack->width);
}

static void fill_edges(struct conv *conv) {
  const struct pack *pack = conv->pack;
  struct inside right =
      inside_of(pack->row_width, pack->right.phase[0] - pack->shape.pad_left, 1, pack->shape.in_width);
  for (int64_t i = 0; i < EDGE_VECTORS * LANES; i++)
    conv->edge[i / LANES][i % LANES] = i >= right.first && i < right.last ? -1 : 0;
}

/* What the copies need again and again. */
static void prepare(struct conv *conv) {
  const struct pack *pack = conv->pack;
  const secateur_shape *shape = &pack->shape;
  if (pack->kind == SECATEUR_LINEAR) return;
  if (pack->width == 1) {
    if (shape->stride_width == 1) fill_edges(conv);
    return;
  }
  if (pack->in_layout == SECATEUR_PLAIN && shape->stride_width == 1 && shape->stride_height == 1)
    fill_places(conv->in_places, pack, pack->super_rows + pack->down.reach, shape->in_width);
  if (pack->out_layout == SECATEUR_PLAIN)
    fill_places(conv->out_places, pack, pack->band_rows, shape->out_width);
}

/* Items: units x supers x groups. */
static void run_conv(const struct job *job, int64_t first, int64_t last, float *scratch) {
  const struct pack *pack = job->op->pack;
  int64_t supers = conv_supers(pack), groups = pack->groups, prepared = -1;
  struct conv conv = {
      .pack = pack,
      .job = job,
      .group = pack_at(pack, pack->group),
      .order = pack_at(pack, pack->order),
      .starts = pack_at(pack, pack->starts),
      .copy = scratch,
      .band = scratch + conv_copy_floats(pack, LANES),
  };
  conv.in_places = (int32_t *)(conv.band + conv_band_floats(pack, LANES));
  conv.out_places = conv.in_places + conv_places(pack->super_rows + pack->down.reach, &pack->shape);
  prepare(&conv);
  while (first < last) {
    int64_t piece = first / groups, group = first % groups;
    int64_t end = least(groups, group + last - first);
    conv.unit = piece / supers;
    conv.row = piece % supers * pack->super_rows;
    int64_t below = least(conv.row + pack->super_rows, pack->shape.out_height);
    if (piece != prepared) copy_super(&conv, below - conv.row);
    prepared = piece;
    for (int64_t row = conv.row; row < below; row += pack->band_rows)
      run_band(&conv, row, least(pack->band_rows, below - row), group, end);
    first += end - group;
  }
}

#endif
