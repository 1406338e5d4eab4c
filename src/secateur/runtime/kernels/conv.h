/* The convolution engine around the microkernel: copy the input in, run the tiles, write out. */
#ifndef SECATEUR_CONV_H
#define SECATEUR_CONV_H

#include "geometry.h"
#include "copy.h"
#include "isa.h"
#include "tile.h"

/* Rows without the columns between them. A row may be written a vector too far, over the beginning of
 * the next one; not so the last, behind which another thread may be writing. */
static void write_rows(const float *from, int64_t from_width, float *to, int64_t width,
                       int64_t rows) {
  if (width >= LANES)
    for (; rows > 1; rows--, from += from_width, to += width)
      for (int64_t i = 0; i < width; i += LANES) store(to + i, load(from + i));
  for (; rows > 0; rows--, from += from_width, to += width) copy_floats(to, from, width);
}

/* A strip's sums from the scratch to the output, for the channels of the groups in hand. */
static void write_strip(const struct conv *conv, int64_t row, int64_t rows, int32_t first,
                        int32_t last, int64_t stride) {
  const struct pack *pack = conv->pack;
  const secateur_shape *shape = &pack->shape;
  int64_t plane = (int64_t)shape->out_height * shape->out_width;
  int64_t features = plane * shape->out_channels;
  int64_t at = first * plane + row * shape->out_width;
  if (pack->width == 1) {
    float *image = conv->job->output + conv->unit * features + at;
    for (int64_t channel = 0; channel < last - first; channel++)
      write_rows(conv->strip + channel * stride, pack->row_width, image + channel * plane,
                 shape->out_width, rows);
    return;
  }
  int64_t batch = conv->job->batch;
  for (int64_t part = 0; part < pack->width / LANES; part++) {
    int64_t tile = lane_tile(conv, part), images = min(batch - tile * LANES, LANES);
    if (images <= 0) break;
    const float *from = conv->strip + part * LANES;
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
static void run_strip(const struct conv *conv, int64_t row, int64_t rows, int64_t first_group,
                      int64_t last_group) {
  const struct pack *pack = conv->pack;
  const secateur_shape *shape = &pack->shape;
  int64_t channels = shape->out_channels;
  int64_t floats = strip_positions(pack, rows) * pack->width;
  int64_t vectors = ceil_div(floats, LANES), tiles = ceil_div(vectors, MAX_TILE);
  int64_t plane = (int64_t)shape->out_height * shape->out_width;
  int64_t row_floats = (int64_t)pack->row_width * pack->width;
  struct tile tile = {
      .first_channel = conv->group[first_group],
      .order = conv->order,
      .indptr = conv->indptr,
      .indices = pack_at(pack, pack->indices),
      .values = pack_at(pack, pack->values),
  };
  /* Straight into the output if the strip is a piece of it: one row, no part of a vector too many. */
  int same = pack->width == 1 ? 1 : pack->width == LANES && pack->out_layout == SECATEUR_LANES;
  int straight = same && floats % LANES == 0 && (rows == 1 || pack->row_width == shape->out_width);
  float *y = conv->strip;
  tile.y_stride = vectors * LANES;
  if (straight) {
    tile.y_stride = plane * pack->width;
    y = conv->job->output +
        ((conv->unit * channels + tile.first_channel) * plane + row * shape->out_width) *
            pack->width;
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
    write_strip(conv, row, rows, tile.first_channel, conv->group[last_group], tile.y_stride);
}

/* Where positions of `rows` rows of `width` lie among rows of the copy. */
static void fill_places(int32_t *places, const struct pack *pack, int64_t rows, int64_t width) {
  for (int64_t row = 0; row < rows; row++)
    for (int64_t i = 0; i < width; i++)
      *places++ = (int32_t)((row * pack->row_width + i) * pack->width);
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
    fill_places(conv->in_places, pack, pack->block_rows + pack->h.reach, shape->in_width);
  if (pack->out_layout == SECATEUR_PLAIN)
    fill_places(conv->out_places, pack, pack->strip_rows, shape->out_width);
}

/* Items: units x blocks x groups. */
static void run_conv(const struct job *job, int64_t first, int64_t last, float *scratch) {
  const struct pack *pack = job->op->pack;
  int64_t blocks = conv_blocks(pack), groups = pack->groups, prepared = -1;
  struct conv conv = {
      .pack = pack,
      .job = job,
      .group = pack_at(pack, pack->group),
      .order = pack_at(pack, pack->order),
      .indptr = pack_at(pack, pack->indptr),
      .copy = scratch,
      .strip = scratch + conv_copy_floats(pack, LANES),
  };
  conv.in_places = (int32_t *)(conv.strip + conv_strip_floats(pack, LANES));
  conv.out_places = conv.in_places + conv_places(pack->block_rows + pack->h.reach, &pack->shape);
  prepare(&conv);
  while (first < last) {
    int64_t piece = first / groups, group = first % groups;
    int64_t end = min(groups, group + last - first);
    conv.unit = piece / blocks;
    conv.row = piece % blocks * pack->block_rows;
    int64_t below = min(conv.row + pack->block_rows, pack->shape.out_height);
    if (piece != prepared) copy_block(&conv, below - conv.row);
    prepared = piece;
    for (int64_t row = conv.row; row < below; row += pack->strip_rows)
      run_strip(&conv, row, min(pack->strip_rows, below - row), group, end);
    first += end - group;
  }
}

#endif
