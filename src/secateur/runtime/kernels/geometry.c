/* How a layer lies in memory: its copy, its strips, the places of its weights and of a pack's arrays. */
#include "geometry.h"

#include <string.h>

int64_t conv_units(const struct pack *pack, int64_t batch) { return ceil_div(batch, pack->width); }

int64_t conv_blocks(const struct pack *pack) {
  return ceil_div(pack->shape.out_height, pack->block_rows);
}

/* The last vectors of a strip, and of a row that is copied, may reach past it: a vector more. */
int64_t conv_copy_floats(const struct pack *pack, int32_t lanes) {
  return round_up((int64_t)pack->shape.in_channels * pack->plane + lanes, ALIGNMENT / 4);
}

int64_t conv_strip_floats(const struct pack *pack, int32_t lanes) {
  int64_t floats = round_up(strip_positions(pack, pack->strip_rows) * pack->width, lanes);
  return round_up(floats * pack->shape.out_channels, ALIGNMENT / 4);
}

int64_t conv_places(int64_t rows, const secateur_shape *shape) {
  return round_up(rows * max(shape->in_width, shape->out_width), ALIGNMENT / 4);
}

int64_t conv_scratch_floats(const struct pack *pack, int32_t lanes) {
  int64_t places = conv_places(pack->block_rows + pack->h.reach, &pack->shape) +
                   conv_places(pack->strip_rows, &pack->shape);
  return conv_copy_floats(pack, lanes) + conv_strip_floats(pack, lanes) + places;
}

static int shape_fits(const secateur_layer *layer) {
  const secateur_shape *s = &layer->shape;
  if (!shape_is_sane(s)) return 0;
  if (layer->kind == SECATEUR_LINEAR)
    return s->in_height == 1 && s->in_width == 1 && s->out_height == 1 && s->out_width == 1 &&
           s->kernel_height == 1 && s->kernel_width == 1 && s->stride_height == 1 &&
           s->stride_width == 1 && s->dilation_height == 1 && s->dilation_width == 1 &&
           s->pad_top == 0 && s->pad_left == 0;
  return layer->kind == SECATEUR_CONV2D;
}

int layer_fits(const secateur_layer *layer) {
  int lanes = layer->in_layout == SECATEUR_LANES || layer->out_layout == SECATEUR_LANES;
  return (layer->in_layout == SECATEUR_PLAIN || layer->in_layout == SECATEUR_LANES) &&
         (layer->out_layout == SECATEUR_PLAIN || layer->out_layout == SECATEUR_LANES) &&
         layer->algorithm >= SECATEUR_AUTO && layer->algorithm <= SECATEUR_BY_LANE &&
         layer->batch >= 1 && !(lanes && layer->algorithm == SECATEUR_BY_IMAGE) &&
         shape_fits(layer);
}

int axis_of(struct axis *axis, int64_t kernel, int64_t dilation, int64_t stride) {
  memset(axis, 0, sizeof *axis);
  axis->reach = (int32_t)((kernel - 1) * dilation / stride);
  for (int64_t place = 0; place < kernel; place++) {
    int32_t phase = (int32_t)(place * dilation % stride), known = 0;
    for (int32_t i = 0; i < axis->phases; i++) known |= axis->phase[i] == phase;
    if (known) continue;
    if (axis->phases == MAX_PHASES) return 0;
    axis->phase[axis->phases++] = phase;
  }
  return 1;
}

static int32_t slot_of(const struct axis *axis, int64_t phase) {
  int32_t slot = 0;
  while (axis->phase[slot] != phase) slot++;
  return slot;
}

int64_t index_of(const struct pack *pack, int64_t channel, int64_t h, int64_t w) {
  const secateur_shape *s = &pack->shape;
  int64_t y = h * s->dilation_height, x = w * s->dilation_width;
  int64_t slot = slot_of(&pack->h, y % s->stride_height) * pack->w.phases +
                 slot_of(&pack->w, x % s->stride_width);
  int64_t row = slot * (pack->block_rows + pack->h.reach) + y / s->stride_height;
  return channel * pack->plane + (row * pack->row_width + x / s->stride_width) * pack->width;
}

static int64_t place(int64_t *end, int64_t bytes) {
  int64_t at = *end;
  *end = round_up(at + bytes, ALIGNMENT);
  return at;
}

void place_arrays(struct pack *pack) {
  int64_t channels = pack->shape.out_channels, rows = pack->blocks * channels;
  int64_t end = round_up(sizeof *pack, ALIGNMENT);
  pack->bias = place(&end, channels * 4);
  pack->group = place(&end, (pack->groups + 1) * 4);
  pack->order = place(&end, rows * 4);
  pack->indptr = place(&end, (rows + 1) * 8);
  pack->indices = place(&end, pack->stored * (pack->index_bits / 8));
  pack->values = place(&end, pack->stored * 4);
  pack->bytes = end;
}
