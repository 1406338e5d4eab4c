/* Packing: choose how a layer is cut up, then write its weights in the order they are used. */
#include "pack.h"

#include <limits.h>
#include <string.h>

#include "isa.h"

/* Measured on Zen 3 (32 KiB L1, 512 KiB L2); later CPUs have as much or more of both.
 * Most of the L1 cache for a tile's input; weights and sums stream through the rest. */
#define L1_FLOATS 6656
/* A block with fewer weights per output channel spends its time loading and storing sums, and in
 * mispredicted ends of the inner loop: rather read from the L2 cache. */
#define BLOCK_WEIGHTS 24
/* Two thirds of the L2 cache for a super's input, and a fifth for a band's sums. */
#define L2_FLOATS 90112
#define BAND_FLOATS 24576
/* Units wider than this many vectors are never better: their input falls out of the caches. */
#define MAX_UNIT_VECTORS 6
#define MAX_GROUPS 16
#define ALIGNMENT 64

int64_t conv_units(const struct pack *pack, int64_t batch) { return ceil_div(batch, pack->width); }

int64_t conv_supers(const struct pack *pack) {
  return ceil_div(pack->shape.out_height, pack->super_rows);
}

/* The last vectors of a band, and of a row that is copied, may reach past it: a vector more. */
int64_t conv_copy_floats(const struct pack *pack, int32_t lanes) {
  return round_up((int64_t)pack->shape.in_channels * pack->plane + lanes, ALIGNMENT / 4);
}

int64_t conv_band_floats(const struct pack *pack, int32_t lanes) {
  int64_t floats = round_up(band_positions(pack, pack->band_rows) * pack->width, lanes);
  return round_up(floats * pack->shape.out_channels, ALIGNMENT / 4);
}

int64_t conv_places(int64_t rows, const secateur_shape *shape) {
  return round_up(rows * most(shape->in_width, shape->out_width), ALIGNMENT / 4);
}

int64_t conv_scratch_floats(const struct pack *pack, int32_t lanes) {
  int64_t places = conv_places(pack->super_rows + pack->down.reach, &pack->shape) +
                   conv_places(pack->band_rows, &pack->shape);
  return conv_copy_floats(pack, lanes) + conv_band_floats(pack, lanes) + places;
}

/* ---- the geometry ---------------------------------------------------------------------------- */

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

static int layer_fits(const secateur_layer *layer) {
  int lanes = layer->in_layout == SECATEUR_LANES || layer->out_layout == SECATEUR_LANES;
  return (layer->in_layout == SECATEUR_PLAIN || layer->in_layout == SECATEUR_LANES) &&
         (layer->out_layout == SECATEUR_PLAIN || layer->out_layout == SECATEUR_LANES) &&
         layer->algorithm >= SECATEUR_AUTO && layer->algorithm <= SECATEUR_BY_LANE &&
         layer->batch >= 1 && !(lanes && layer->algorithm == SECATEUR_BY_IMAGE) &&
         shape_fits(layer);
}

/* The phases of an axis; 0 if there are too many. */
static int axis_of(struct axis *axis, int64_t taps, int64_t dilation, int64_t stride) {
  memset(axis, 0, sizeof *axis);
  axis->reach = (int32_t)((taps - 1) * dilation / stride);
  for (int64_t tap = 0; tap < taps; tap++) {
    int32_t phase = (int32_t)(tap * dilation % stride), known = 0;
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

/* Where a weight's input lies in the copy, from the first channel of its block. */
static int64_t index_of(const struct pack *pack, int64_t channel, int64_t down, int64_t right) {
  const secateur_shape *s = &pack->shape;
  int64_t y = down * s->dilation_height, x = right * s->dilation_width;
  int64_t slot = slot_of(&pack->down, y % s->stride_height) * pack->right.phases +
                 slot_of(&pack->right, x % s->stride_width);
  int64_t row = slot * (pack->super_rows + pack->down.reach) + y / s->stride_height;
  return channel * pack->plane + (row * pack->row_width + x / s->stride_width) * pack->width;
}

/* ---- the cost model: CPU cycles, measured on Zen 3; only the order of candidates counts -------- */

static double band_cost(const struct pack *pack, const struct isa *isa, int64_t rows) {
  const secateur_shape *s = &pack->shape;
  double channels = s->out_channels, weights = (double)pack->nonzeros;
  int64_t floats = band_positions(pack, rows) * pack->width;
  int64_t vectors = ceil_div(floats, isa->lanes), tiles = ceil_div(vectors, isa->max_tile);
  /* By image the loads straddle cache lines. */
  double load = pack->width == 1 ? 0.75 : 0.55;
  double cost = weights * (load * vectors + 0.8 * tiles) +
                pack->blocks * channels * (1.0 * vectors + 8 * tiles);
  double useful = (double)rows * s->out_width * pack->width;
  int whole = floats % isa->lanes == 0 && (rows == 1 || pack->row_width == s->out_width);
  if (pack->width == 1)
    return cost + (whole ? 0 : channels * (0.1 * useful + 8 * rows));
  if (pack->out_layout == SECATEUR_PLAIN) return cost + channels * (0.4 * useful + 8 * rows);
  return cost + (whole && pack->width == isa->lanes ? 0 : channels * 0.15 * useful);
}

static double copy_cost(const struct pack *pack) {
  double rows = (double)pack->shape.in_channels * pack->down.phases * pack->right.phases *
                (pack->super_rows + pack->down.reach);
  double floats = rows * pack->row_width * pack->width;
  if (pack->kind == SECATEUR_LINEAR) rows = 0;
  if (pack->width == 1) return 0.1 * floats + 12 * rows;
  return (pack->in_layout == SECATEUR_PLAIN ? 0.4 : 0.15) * floats + 12 * rows;
}

/* ---- the plan -------------------------------------------------------------------------------- */

static int64_t tile_vectors(const struct pack *pack, const struct isa *isa) {
  int64_t vectors = ceil_div(band_positions(pack, pack->band_rows) * pack->width, isa->lanes);
  return ceil_div(vectors, ceil_div(vectors, isa->max_tile));
}

static void choose_blocks(struct pack *pack, const struct isa *isa) {
  int64_t channels = pack->shape.in_channels;
  int64_t tile = tile_vectors(pack, isa) * isa->lanes, row = (int64_t)pack->row_width * pack->width;
  /* A tile and the rows below it that its taps reach: pieces of rows, or all in between. */
  int64_t piece = tile + (int64_t)pack->right.reach * pack->width;
  int64_t touched = (piece + pack->down.reach * least(piece, row)) * pack->down.phases *
                    pack->right.phases;
  int64_t fitting = most(1, L1_FLOATS / touched);
  int64_t paying = ceil_div(BLOCK_WEIGHTS * channels * pack->shape.out_channels,
                            most(pack->nonzeros, 1));
  int64_t block = least(channels, most(fitting, paying));
  pack->blocks = (int32_t)ceil_div(channels, block);
  pack->block_channels = (int32_t)ceil_div(channels, pack->blocks);
  pack->blocks = (int32_t)ceil_div(channels, pack->block_channels);
}

/* All that follows from the width of a unit; the cycles for the layer's batch, or -1. */
static double plan_width(struct pack *pack, const struct isa *isa, int32_t width, int64_t batch) {
  const secateur_shape *s = &pack->shape;
  pack->width = width;
  pack->row_width = s->out_width + pack->right.reach;
  int64_t row = (int64_t)pack->row_width * width;
  int64_t per_row = row * pack->down.phases * pack->right.phases * s->in_channels;
  double best = -1;
  for (int32_t rows = 1; rows <= s->out_height; rows++) {
    struct pack tried = *pack;
    tried.band_rows = rows;
    if (rows > 1 && conv_band_floats(&tried, isa->lanes) > BAND_FLOATS) break;
    int64_t super = most(rows, L2_FLOATS / per_row - pack->down.reach);
    super = least(super / rows * rows, round_up(s->out_height, rows));
    int64_t supers = ceil_div(s->out_height, super);
    super = round_up(ceil_div(s->out_height, supers), rows);
    tried.super_rows = (int32_t)least(super, s->out_height);
    int64_t plane = (tried.super_rows + pack->down.reach) * row * pack->down.phases *
                    pack->right.phases;
    if (plane > INT32_MAX / 2) continue;
    tried.plane = (int32_t)plane;
    choose_blocks(&tried, isa);
    tried.tile = (int32_t)tile_vectors(&tried, isa);
    int64_t bands = ceil_div(s->out_height, rows);
    double cost = (bands * band_cost(&tried, isa, rows) + conv_supers(&tried) * copy_cost(&tried)) *
                  (double)ceil_div(batch, width);
    if (best < 0 || cost < best) {
      best = cost;
      *pack = tried;
    }
  }
  return best;
}

static double plan_dot(struct pack *pack, int64_t batch) {
  pack->width = 1;
  pack->super_rows = pack->band_rows = pack->row_width = pack->plane = pack->tile = 1;
  pack->blocks = 1;
  pack->block_channels = pack->shape.in_channels;
  return (double)batch * ((double)pack->nonzeros + 12.0 * pack->shape.out_channels);
}

static void keep_cheaper(struct pack *best, double *best_cost, const struct pack *tried,
                         double cost) {
  if (cost < 0 || (*best_cost >= 0 && *best_cost <= cost)) return;
  *best = *tried;
  *best_cost = cost;
}

static int choose_plan(struct pack *pack, const secateur_layer *layer, const struct isa *isa) {
  struct pack best = *pack;
  double best_cost = -1;
  int lanes_only = layer->in_layout == SECATEUR_LANES || layer->out_layout == SECATEUR_LANES ||
                   layer->algorithm == SECATEUR_BY_LANE;
  if (!lanes_only) {
    struct pack tried = *pack;
    tried.algorithm = SECATEUR_BY_IMAGE;
    double cost = layer->kind == SECATEUR_LINEAR ? plan_dot(&tried, layer->batch)
                                                 : plan_width(&tried, isa, 1, layer->batch);
    keep_cheaper(&best, &best_cost, &tried, cost);
  }
  if (layer->algorithm != SECATEUR_BY_IMAGE)
    for (int32_t vectors = 1; vectors <= MAX_UNIT_VECTORS; vectors++) {
      struct pack tried = *pack;
      tried.algorithm = SECATEUR_BY_LANE;
      keep_cheaper(&best, &best_cost, &tried,
                   plan_width(&tried, isa, vectors * isa->lanes, layer->batch));
    }
  *pack = best;
  return best_cost >= 0;
}

static int64_t place(int64_t *end, int64_t bytes) {
  int64_t at = *end;
  *end = round_up(at + bytes, ALIGNMENT);
  return at;
}

static void place_arrays(struct pack *pack) {
  int64_t channels = pack->shape.out_channels, rows = pack->blocks * channels;
  int64_t end = round_up(sizeof *pack, ALIGNMENT);
  pack->bias = place(&end, channels * 4);
  pack->group = place(&end, (pack->groups + 1) * 4);
  pack->order = place(&end, rows * 4);
  pack->starts = place(&end, (rows + 1) * 8);
  pack->index = place(&end, pack->stored * (pack->index_bits / 8));
  pack->value = place(&end, pack->stored * 4);
  pack->bytes = end;
}

/* The floats that an index can be from the first channel of its block. */
static int64_t index_range(const struct pack *pack) {
  if (pack->kind == SECATEUR_LINEAR && pack->algorithm == SECATEUR_BY_IMAGE)
    return pack->shape.in_channels;
  return (int64_t)pack->block_channels * pack->plane;
}

/* Fill everything but the arrays. */
static int32_t plan(struct pack *pack, const secateur_layer *layer, const float *weight) {
  const struct isa *isa = current_isa();
  if (!layer || !weight || !layer_fits(layer)) return SECATEUR_BAD_ARGUMENT;
  const secateur_shape *s = &layer->shape;
  memset(pack, 0, sizeof *pack);
  pack->magic = PACK_MAGIC;
  pack->abi = SECATEUR_ABI;
  strncpy(pack->isa, isa->name, sizeof pack->isa - 1);
  pack->kind = layer->kind;
  pack->in_layout = layer->in_layout;
  pack->out_layout = layer->out_layout;
  pack->shape = *s;
  if (!axis_of(&pack->down, s->kernel_height, s->dilation_height, s->stride_height) ||
      !axis_of(&pack->right, s->kernel_width, s->dilation_width, s->stride_width))
    return SECATEUR_BAD_ARGUMENT;
  int64_t count = (int64_t)s->out_channels * s->in_channels * s->kernel_height * s->kernel_width;
  for (int64_t i = 0; i < count; i++) pack->nonzeros += weight[i] != 0;
  pack->stored = pack->nonzeros;
  if (!choose_plan(pack, layer, isa)) return SECATEUR_BAD_ARGUMENT;
  pack->groups = (int32_t)most(1, least(MAX_GROUPS, s->out_channels / 4));
  if (index_range(pack) > UINT32_MAX) return SECATEUR_BAD_ARGUMENT;
  pack->index_bits = index_range(pack) <= UINT16_MAX + 1 ? 16 : 32;
  place_arrays(pack);
  return SECATEUR_OK;
}

/* ---- the arrays ------------------------------------------------------------------------------ */

/* Non-zeros of one output channel within a block. */
static int64_t count_row(const struct pack *pack, const float *weight, int64_t channel,
                         int64_t block) {
  int64_t taps = (int64_t)pack->shape.kernel_height * pack->shape.kernel_width;
  int64_t first = block * pack->block_channels, count = 0;
  int64_t last = least(first + pack->block_channels, pack->shape.in_channels);
  const float *row = weight + channel * pack->shape.in_channels * taps;
  for (int64_t i = first * taps; i < last * taps; i++) count += row[i] != 0;
  return count;
}

/* Cut the output channels where the weights so far pass the next equal share. Each channel counts
 * a little by itself, so that empty ones are shared out too. */
static void fill_groups(const struct pack *pack, const float *weight, int32_t *group) {
  int64_t channels = pack->shape.out_channels, own = 4, so_far = 0;
  int64_t all = pack->nonzeros + own * channels;
  int32_t next = 0;
  for (int64_t channel = 0; channel < channels; channel++) {
    while (next < pack->groups && so_far >= all * next / pack->groups)
      group[next++] = (int32_t)channel;
    for (int64_t block = 0; block < pack->blocks; block++)
      so_far += count_row(pack, weight, channel, block);
    so_far += own;
  }
  while (next <= pack->groups) group[next++] = (int32_t)channels;
}

/* By falling count within each group: neighbours of one length leave the inner loop at the same
 * step, which the branch predictor learns. A counting sort on `starts`, where the counts are kept for now. */
static void fill_order(const struct pack *pack, const float *weight, const int32_t *group,
                       int32_t *order, int64_t *starts) {
  int64_t channels = pack->shape.out_channels, total = 0;
  for (int64_t block = 0; block < pack->blocks; block++) {
    int32_t *rows = order + block * channels;
    int64_t *counts = starts + block * channels;
    for (int32_t g = 0; g < pack->groups; g++)
      for (int32_t channel = group[g]; channel < group[g + 1]; channel++) {
        int64_t count = count_row(pack, weight, channel, block);
        int32_t at = channel;
        for (; at > group[g] && counts[at - 1] < count; at--) {
          counts[at] = counts[at - 1];
          rows[at] = rows[at - 1];
        }
        counts[at] = count;
        rows[at] = channel;
      }
  }
  for (int64_t row = 0; row < pack->blocks * channels; row++) {
    int64_t count = starts[row];
    starts[row] = total;
    total += count;
  }
  starts[pack->blocks * channels] = total;
}

static void fill_weights(const struct pack *pack, const float *weight, const int32_t *order,
                         void *index, float *value) {
  const secateur_shape *s = &pack->shape;
  int dot = pack->kind == SECATEUR_LINEAR && pack->algorithm == SECATEUR_BY_IMAGE;
  int64_t taps = (int64_t)s->kernel_height * s->kernel_width, at = 0;
  for (int64_t block = 0; block < pack->blocks; block++)
    for (int64_t row = 0; row < s->out_channels; row++) {
      int64_t first = block * pack->block_channels;
      int64_t last = least(first + pack->block_channels, s->in_channels);
      const float *from = weight + order[block * s->out_channels + row] * s->in_channels * taps;
      for (int64_t channel = first; channel < last; channel++)
        for (int64_t tap = 0; tap < taps; tap++) {
          float w = from[channel * taps + tap];
          if (w == 0) continue;
          int64_t where = dot ? channel
                              : index_of(pack, channel - first, tap / s->kernel_width,
                                         tap % s->kernel_width);
          if (pack->index_bits == 16) ((uint16_t *)index)[at] = (uint16_t)where;
          else ((uint32_t *)index)[at] = (uint32_t)where;
          value[at++] = w;
        }
    }
}

int64_t secateur_pack_bytes(const secateur_layer *layer, const float *weight) {
  struct pack pack;
  int32_t status = plan(&pack, layer, weight);
  return status ? -(int64_t)status : pack.bytes;
}

int32_t secateur_pack(const secateur_layer *layer, const float *weight, const float *bias,
                      void *blob, int64_t blob_bytes) {
  struct pack pack;
  int32_t status = plan(&pack, layer, weight);
  if (status) return status;
  if (!blob || (uintptr_t)blob % ALIGNMENT) return SECATEUR_BAD_ARGUMENT;
  if (blob_bytes < pack.bytes) return SECATEUR_SMALL_BUFFER;
  char *bytes = blob;
  memset(bytes, 0, pack.bytes);
  memcpy(bytes, &pack, sizeof pack);
  if (bias) memcpy(bytes + pack.bias, bias, pack.shape.out_channels * sizeof *bias);
  int32_t *group = (int32_t *)(bytes + pack.group), *order = (int32_t *)(bytes + pack.order);
  fill_groups(&pack, weight, group);
  fill_order(&pack, weight, group, order, (int64_t *)(bytes + pack.starts));
  fill_weights(&pack, weight, order, bytes + pack.index, (float *)(bytes + pack.value));
  return SECATEUR_OK;
}

/* ---- reading one --------------------------------------------------------------------------- */

const struct pack *pack_of(const void *blob, int64_t bytes, const char *isa) {
  const struct pack *pack = blob;
  if (!pack || (uintptr_t)blob % ALIGNMENT || bytes < (int64_t)sizeof *pack) return NULL;
  int ours = pack->magic == PACK_MAGIC && pack->abi == SECATEUR_ABI && pack->bytes <= bytes &&
             memchr(pack->isa, 0, sizeof pack->isa) && !strcmp(pack->isa, isa);
  return ours ? pack : NULL;
}

/* A header that the rest can trust: what follows from other fields does, the rest is in range. */
static int header_fits(const struct pack *pack, const struct isa *isa) {
  secateur_layer layer = {pack->kind, pack->in_layout, pack->out_layout, pack->algorithm, 1,
                          pack->shape};
  const secateur_shape *s = &pack->shape;
  struct axis down, right;
  if (!layer_fits(&layer) || pack->algorithm == SECATEUR_AUTO ||
      !axis_of(&down, s->kernel_height, s->dilation_height, s->stride_height) ||
      !axis_of(&right, s->kernel_width, s->dilation_width, s->stride_width) ||
      memcmp(&down, &pack->down, sizeof down) || memcmp(&right, &pack->right, sizeof right))
    return 0;
  int by_lane = pack->algorithm == SECATEUR_BY_LANE;
  int width_fits = by_lane ? pack->width >= isa->lanes && pack->width % isa->lanes == 0 &&
                                 pack->width <= MAX_UNIT_VECTORS * isa->lanes
                           : pack->width == 1;
  if (!width_fits || pack->blocks < 1 || pack->block_channels < 1 ||
      pack->blocks != ceil_div(s->in_channels, pack->block_channels) || pack->groups < 1 ||
      pack->groups > MAX_GROUPS || pack->stored < 0 || pack->nonzeros > pack->stored ||
      pack->stored > (int64_t)1 << 40 || (pack->index_bits != 16 && pack->index_bits != 32))
    return 0;
  if (pack->kind == SECATEUR_CONV2D || by_lane) {
    int64_t plane = (int64_t)(pack->super_rows + down.reach) * pack->row_width *
                    pack->width * down.phases * right.phases;
    if (pack->super_rows < 1 || pack->super_rows > s->out_height || pack->band_rows < 1 ||
        pack->band_rows > pack->super_rows || pack->row_width != s->out_width + right.reach ||
        pack->plane != plane)
      return 0;
  }
  struct pack placed = *pack;
  place_arrays(&placed);
  return !memcmp(&placed, pack, sizeof placed);
}

static int arrays_fit(const struct pack *pack) {
  int64_t channels = pack->shape.out_channels, rows = pack->blocks * channels;
  const int32_t *group = pack_at(pack, pack->group), *order = pack_at(pack, pack->order);
  const int64_t *starts = pack_at(pack, pack->starts);
  if (group[0] != 0 || group[pack->groups] != channels) return 0;
  for (int32_t g = 0; g < pack->groups; g++)
    if (group[g] > group[g + 1]) return 0;
  for (int64_t block = 0; block < pack->blocks; block++)
    for (int32_t g = 0; g < pack->groups; g++)
      for (int32_t i = group[g]; i < group[g + 1]; i++) {
        int32_t channel = order[block * channels + i];
        if (channel < group[g] || channel >= group[g + 1]) return 0;
      }
  if (starts[0] != 0 || starts[rows] != pack->stored) return 0;
  for (int64_t row = 0; row < rows; row++)
    if (starts[row] > starts[row + 1]) return 0;
  return 1;
}

static int indices_fit(const struct pack *pack) {
  const secateur_shape *s = &pack->shape;
  int dot = pack->kind == SECATEUR_LINEAR && pack->algorithm == SECATEUR_BY_IMAGE;
  const int64_t *starts = pack_at(pack, pack->starts);
  int64_t last_tap =
      dot ? 0 : index_of(pack, 0, s->kernel_height - 1, s->kernel_width - 1);
  for (int32_t i = 0; !dot && i < s->kernel_height; i++)
    for (int32_t j = 0; j < s->kernel_width; j++) last_tap = most(last_tap, index_of(pack, 0, i, j));
  for (int64_t block = 0; block < pack->blocks; block++) {
    int64_t channels =
        least(pack->block_channels, s->in_channels - block * (int64_t)pack->block_channels);
    int64_t limit = dot ? s->in_channels - 1 : (channels - 1) * pack->plane + last_tap;
    int64_t first = starts[block * s->out_channels], last = starts[(block + 1) * s->out_channels];
    for (int64_t i = first; i < last; i++) {
      int64_t index = pack->index_bits == 16 ? ((const uint16_t *)pack_at(pack, pack->index))[i]
                                             : ((const uint32_t *)pack_at(pack, pack->index))[i];
      if (index > limit) return 0;
    }
  }
  return 1;
}

int32_t secateur_inspect(const void *blob, int64_t blob_bytes, secateur_pack_info *info) {
  const struct pack *pack = pack_of(blob, blob_bytes, current_isa()->name);
  if (!pack) return SECATEUR_BAD_PACK;
  if (!info) return SECATEUR_BAD_ARGUMENT;
  if (!header_fits(pack, current_isa()) || !arrays_fit(pack) || !indices_fit(pack))
    return SECATEUR_BAD_PACK;
  *info = (secateur_pack_info){
      .kind = pack->kind,
      .in_layout = pack->in_layout,
      .out_layout = pack->out_layout,
      .algorithm = pack->algorithm,
      .index_bits = pack->index_bits,
      .tile = pack->tile,
      .nonzeros = pack->nonzeros,
      .stored = pack->stored,
      .shape = pack->shape,
  };
  return SECATEUR_OK;
}
