/* Choosing how a layer is cut up, by a cost model. */
#include <limits.h>
#include <string.h>

#include "plan.h"
#include "dispatch.h"
#include "geometry.h"
#include "isa.h"

/* Measured on Zen 3 (32 KiB L1, 512 KiB L2); later CPUs have as much or more of both.
 * Most of the L1 cache for a tile's input; weights and sums stream through the rest. */
#define L1_FLOATS 6656
/* A block with fewer weights per output channel spends its time loading and storing sums, and in
 * mispredicted ends of the inner loop: rather read from the L2 cache. */
#define BLOCK_WEIGHTS 24
/* Two thirds of the L2 cache for a block's input, and a fifth for a strip's sums. */
#define L2_FLOATS 90112
#define BAND_FLOATS 24576

/* ---- the cost model: CPU cycles, measured on Zen 3; only the order of candidates counts -------- */

static double strip_cost(const struct pack *pack, const struct isa *isa, int64_t rows) {
  const secateur_shape *s = &pack->shape;
  double channels = s->out_channels, weights = (double)pack->nonzeros;
  int64_t floats = strip_positions(pack, rows) * pack->width;
  int64_t vectors = ceil_div(floats, isa->lanes), tiles = ceil_div(vectors, isa->max_tile);
  /* By image the loads straddle cache lines. */
  double load = pack->width == 1 ? 0.75 : 0.55;
  double cost = weights * (load * vectors + 0.8 * tiles) +
                pack->blocks * channels * (1.0 * vectors + 8 * tiles);
  double useful = (double)rows * s->out_width * pack->width;
  int whole = floats % isa->lanes == 0 && (rows == 1 || pack->row_width == s->out_width);
  if (pack->width == 1) return cost + (whole ? 0 : channels * (0.1 * useful + 8 * rows));
  if (pack->out_layout == SECATEUR_PLAIN) return cost + channels * (0.4 * useful + 8 * rows);
  return cost + (whole && pack->width == isa->lanes ? 0 : channels * 0.15 * useful);
}

static double copy_cost(const struct pack *pack) {
  double rows = (double)pack->shape.in_channels * pack->h.phases * pack->w.phases *
                (pack->block_rows + pack->h.reach);
  double floats = rows * pack->row_width * pack->width;
  if (pack->kind == SECATEUR_LINEAR) rows = 0;
  if (pack->width == 1) return 0.1 * floats + 12 * rows;
  return (pack->in_layout == SECATEUR_PLAIN ? 0.4 : 0.15) * floats + 12 * rows;
}

/* ---- the plan -------------------------------------------------------------------------------- */

static int64_t tile_vectors(const struct pack *pack, const struct isa *isa) {
  int64_t vectors = ceil_div(strip_positions(pack, pack->strip_rows) * pack->width, isa->lanes);
  return ceil_div(vectors, ceil_div(vectors, isa->max_tile));
}

static void choose_blocks(struct pack *pack, const struct isa *isa) {
  int64_t channels = pack->shape.in_channels;
  int64_t tile = tile_vectors(pack, isa) * isa->lanes, row = (int64_t)pack->row_width * pack->width;
  /* A tile and the rows below it that its kernel_size reach: pieces of rows, or all in between. */
  int64_t piece = tile + (int64_t)pack->w.reach * pack->width;
  int64_t touched = (piece + pack->h.reach * min(piece, row)) * pack->h.phases * pack->w.phases;
  int64_t fitting = max(1, L1_FLOATS / touched);
  int64_t paying =
      ceil_div(BLOCK_WEIGHTS * channels * pack->shape.out_channels, max(pack->nonzeros, 1));
  int64_t block = min(channels, max(fitting, paying));
  pack->blocks = (int32_t)ceil_div(channels, block);
  pack->block_channels = (int32_t)ceil_div(channels, pack->blocks);
  pack->blocks = (int32_t)ceil_div(channels, pack->block_channels);
}

/* All that follows from the width of a unit; the cycles for the layer's batch, or -1. */
static double plan_width(struct pack *pack, const struct isa *isa, int32_t width, int64_t batch) {
  const secateur_shape *s = &pack->shape;
  pack->width = width;
  pack->row_width = s->out_width + pack->w.reach;
  int64_t row = (int64_t)pack->row_width * width;
  int64_t per_row = row * pack->h.phases * pack->w.phases * s->in_channels;
  double best = -1;
  for (int32_t rows = 1; rows <= s->out_height; rows++) {
    struct pack tried = *pack;
    tried.strip_rows = rows;
    if (rows > 1 && conv_strip_floats(&tried, isa->lanes) > BAND_FLOATS) break;
    int64_t block = max(rows, L2_FLOATS / per_row - pack->h.reach);
    block = min(block / rows * rows, round_up(s->out_height, rows));
    int64_t blocks = ceil_div(s->out_height, block);
    block = round_up(ceil_div(s->out_height, blocks), rows);
    tried.block_rows = (int32_t)min(block, s->out_height);
    int64_t plane = (tried.block_rows + pack->h.reach) * row * pack->h.phases * pack->w.phases;
    if (plane > INT32_MAX / 2) continue;
    tried.plane = (int32_t)plane;
    choose_blocks(&tried, isa);
    tried.tile = (int32_t)tile_vectors(&tried, isa);
    int64_t strips = ceil_div(s->out_height, rows);
    double cost =
        (strips * strip_cost(&tried, isa, rows) + conv_blocks(&tried) * copy_cost(&tried)) *
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
  pack->block_rows = pack->strip_rows = pack->row_width = pack->plane = pack->tile = 1;
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

/* The floats that an index can be from the first channel of its block. */
static int64_t index_range(const struct pack *pack) {
  if (pack->kind == SECATEUR_LINEAR && pack->algorithm == SECATEUR_BY_IMAGE)
    return pack->shape.in_channels;
  return (int64_t)pack->block_channels * pack->plane;
}

int32_t plan(struct pack *pack, const secateur_layer *layer, const float *weight) {
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
  if (!axis_of(&pack->h, s->kernel_height, s->dilation_height, s->stride_height) ||
      !axis_of(&pack->w, s->kernel_width, s->dilation_width, s->stride_width))
    return SECATEUR_BAD_ARGUMENT;
  int64_t count = (int64_t)s->out_channels * s->in_channels * s->kernel_height * s->kernel_width;
  for (int64_t i = 0; i < count; i++) pack->nonzeros += weight[i] != 0;
  pack->stored = pack->nonzeros;
  if (!choose_plan(pack, layer, isa)) return SECATEUR_BAD_ARGUMENT;
  pack->groups = (int32_t)max(1, min(MAX_GROUPS, s->out_channels / 4));
  if (index_range(pack) > UINT32_MAX) return SECATEUR_BAD_ARGUMENT;
  pack->index_bits = index_range(pack) <= UINT16_MAX + 1 ? 16 : 32;
  place_arrays(pack);
  return SECATEUR_OK;
}
