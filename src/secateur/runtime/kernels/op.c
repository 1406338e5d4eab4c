/* How ops are cut up, what they cost, what runs them. */
#include "geometry.h"
#include "op.h"

static int has_pack(const secateur_op *op) {
  return op->kind == SECATEUR_LINEAR || op->kind == SECATEUR_CONV2D;
}

static int is_dot(const secateur_op *op) {
  return op->kind == SECATEUR_LINEAR &&
         ((const struct pack *)op->pack)->algorithm == SECATEUR_BY_IMAGE;
}

kernel kernel_of(const secateur_op *op, const struct isa *isa) {
  switch (op->kind) {
    case SECATEUR_LINEAR:
      return is_dot(op) ? isa->dot : isa->conv;
    case SECATEUR_CONV2D:
      return isa->conv;
    case SECATEUR_ADD:
      return isa->add;
    case SECATEUR_AFFINE:
      return isa->affine;
    case SECATEUR_MAX_POOL:
      return isa->max_pool;
    case SECATEUR_AVG_POOL:
      return isa->avg_pool;
    case SECATEUR_GLOBAL_AVG_POOL:
      return isa->global_avg_pool;
    case SECATEUR_ACTIVATE:
      return isa->activate;
    case SECATEUR_MUL:
      return isa->mul;
    case SECATEUR_SCALE:
      return isa->scale;
    case SECATEUR_PLACE:
      return isa->place;
    case SECATEUR_SHUFFLE:
      return isa->shuffle;
    default:
      return isa->copy;
  }
}

int64_t items_of(const secateur_op *op, int64_t batch, int32_t lanes) {
  const struct pack *pack = op->pack;
  int64_t features = in_features(&op->shape);
  if (has_pack(op))
    return (is_dot(op) ? batch : conv_units(pack, batch) * conv_blocks(pack)) * pack->groups;
  switch (op->kind) {
    case SECATEUR_COPY:
    case SECATEUR_RELU:
    case SECATEUR_ADD:
    case SECATEUR_MUL:
    case SECATEUR_ACTIVATE:
      if (op->in_layout != op->out_layout)
        return ceil_div(batch, lanes) * ceil_div(features, CHUNK / lanes);
      return ceil_div(images_in(op->in_layout, batch, lanes) * features, CHUNK);
    default: {
      int64_t images = op->in_layout == SECATEUR_LANES ? ceil_div(batch, lanes) : batch;
      if (op->kind == SECATEUR_PLACE) return images;
      return images * op->shape.out_channels;
    }
  }
}

int64_t work_of(const secateur_op *op, int64_t batch, int32_t lanes) {
  const struct pack *pack = op->pack;
  int64_t images = images_in(op->in_layout, batch, lanes);
  if (!has_pack(op)) {
    int64_t kernel_size = (int64_t)op->shape.kernel_height * op->shape.kernel_width;
    int64_t each = op->kind == SECATEUR_ACTIVATE ? 1 : 4;
    return images * (in_features(&op->shape) + kernel_size * out_features(&op->shape)) / each;
  }
  if (is_dot(op)) return batch * (pack->nonzeros + 8 * (int64_t)pack->shape.out_channels);
  int64_t positions = (int64_t)pack->shape.out_height * pack->shape.out_width;
  int64_t vectors = ceil_div(positions * pack->width, lanes) * conv_units(pack, batch);
  return vectors * pack->nonzeros + images * in_features(&op->shape) / 4;
}

int64_t scratch_step(const secateur_op *ops, int32_t n_ops, int32_t lanes) {
  int64_t floats = 0;
  for (int32_t i = 0; i < n_ops; i++)
    if (has_pack(&ops[i]) && !is_dot(&ops[i]))
      floats = max(floats, conv_scratch_floats(ops[i].pack, lanes));
  return round_up(floats * sizeof(float), ALIGNMENT);
}
