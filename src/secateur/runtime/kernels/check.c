/* Checking a task, all of it before anything runs: each op by itself, then with its buffers. */
#include <string.h>

#include "inspect.h"
#include "check.h"
#include "op.h"

static int shape_fits(const secateur_op *op) {
  const secateur_shape *s = &op->shape;
  if (!shape_is_sane(s)) return 0;
  switch (op->kind) {
    case SECATEUR_COPY:
    case SECATEUR_RELU:
    case SECATEUR_ADD:
    case SECATEUR_AFFINE:
    case SECATEUR_ACTIVATE:
    case SECATEUR_MUL:
    case SECATEUR_SCALE:
      return s->in_channels == s->out_channels && s->in_height == s->out_height &&
             s->in_width == s->out_width;
    case SECATEUR_MAX_POOL:
    case SECATEUR_AVG_POOL:
      return s->in_channels == s->out_channels;
    case SECATEUR_GLOBAL_AVG_POOL:
      return s->in_channels == s->out_channels && s->out_height == 1 && s->out_width == 1;
    case SECATEUR_PLACE:
      return s->in_channels + s->pad_top <= s->out_channels && s->in_height == s->out_height &&
             s->in_width == s->out_width;
    case SECATEUR_SHUFFLE:
      return s->in_channels == (int64_t)s->out_channels * s->stride_height * s->stride_width &&
             ((int64_t)s->out_height - 1 + s->pad_top) / s->stride_height < s->in_height &&
             ((int64_t)s->out_width - 1 + s->pad_left) / s->stride_width < s->in_width;
    default:
      return 1;
  }
}

static int is_layout(int32_t layout) {
  return layout == SECATEUR_PLAIN || layout == SECATEUR_LANES;
}

/* An ACTIVATE names a function, and brings the numbers that it takes. */
static int32_t check_function(const secateur_op *op) {
  int32_t function = op->flags >> SECATEUR_FUNCTION_SHIFT;
  if (function < SECATEUR_CLAMP || function > SECATEUR_GELU_TANH) return SECATEUR_BAD_ARGUMENT;
  if (function > SECATEUR_ELU) return SECATEUR_OK;
  return op->pack && op->pack_bytes >= 2 * (int64_t)sizeof(float) ? SECATEUR_OK : SECATEUR_BAD_PACK;
}

int32_t check_op(const secateur_op *op, const struct isa *isa) {
  if (op->kind < SECATEUR_LINEAR || op->kind > SECATEUR_SHUFFLE || op->reserved != 0 ||
      !is_layout(op->in_layout) || !is_layout(op->out_layout) || !shape_fits(op))
    return SECATEUR_BAD_ARGUMENT;
  if (op->kind == SECATEUR_LINEAR || op->kind == SECATEUR_CONV2D) {
    const struct pack *pack = pack_of(op->pack, op->pack_bytes, isa->name);
    int fits = pack && pack->kind == op->kind && pack->in_layout == op->in_layout &&
               pack->out_layout == op->out_layout &&
               !memcmp(&pack->shape, &op->shape, sizeof op->shape);
    return fits ? SECATEUR_OK : SECATEUR_BAD_PACK;
  }
  if (op->kind == SECATEUR_AFFINE &&
      (!op->pack || op->pack_bytes < 8 * (int64_t)op->shape.in_channels))
    return SECATEUR_BAD_PACK;
  if (op->kind != SECATEUR_COPY && op->in_layout != op->out_layout) return SECATEUR_BAD_ARGUMENT;
  return op->kind == SECATEUR_ACTIVATE ? check_function(op) : SECATEUR_OK;
}

static int in_place_allowed(const secateur_op *op, int second) {
  switch (op->kind) {
    case SECATEUR_RELU:
    case SECATEUR_ADD:
    case SECATEUR_AFFINE:
    case SECATEUR_ACTIVATE:
    case SECATEUR_MUL:
      return 1;
    case SECATEUR_SCALE:
      return !second;
    default:
      return op->kind == SECATEUR_COPY && op->in_layout == op->out_layout;
  }
}

/* The floats of a buffer that an op touches; -1 if it does not hold as many. */
static int64_t touched(const secateur_task *task, const secateur_buffer *buffer, int32_t layout,
                       int64_t features, int32_t lanes) {
  int64_t images = buffer->step ? task->part : task->batch;
  int64_t floats = images_in(layout, images, lanes) * features;
  if (buffer->step) {
    if (buffer->step < floats || buffer->count / task->threads < buffer->step) return -1;
    return buffer->count;
  }
  return buffer->count < floats ? -1 : floats;
}

static int overlap(const secateur_buffer *a, int64_t a_count, const secateur_buffer *b,
                   int64_t b_count) {
  uintptr_t first = (uintptr_t)a->data, second = (uintptr_t)b->data;
  return first < second + b_count * sizeof(float) && second < first + a_count * sizeof(float);
}

static int32_t check_buffers(const secateur_task *task, const secateur_op *op, int32_t lanes) {
  const secateur_buffer *buffers = task->buffers;
  int32_t n = task->n_buffers;
  int two = reads_two(op);
  if (op->input < 0 || op->input >= n || op->output < 0 || op->output >= n ||
      (two ? op->other < 0 || op->other >= n : op->other != -1))
    return SECATEUR_BAD_ARGUMENT;
  const secateur_buffer *out = &buffers[op->output];
  const secateur_buffer *read[] = {&buffers[op->input], &buffers[two ? op->other : op->input]};
  int64_t written = touched(task, out, op->out_layout, out_features(&op->shape), lanes);
  if (written < 0) return SECATEUR_SMALL_BUFFER;
  for (int i = 0; i < 2; i++) {
    int64_t features = two && i ? other_features(op) : in_features(&op->shape);
    int64_t floats = touched(task, read[i], op->in_layout, features, lanes);
    if (floats < 0) return SECATEUR_SMALL_BUFFER;
    if (task->batch == 0) continue;
    if (!read[i]->data || !out->data ||
        ((uintptr_t)read[i]->data | (uintptr_t)out->data) % sizeof(float))
      return SECATEUR_BAD_ARGUMENT;
    int same = read[i]->data == out->data && read[i]->step == out->step;
    if (overlap(read[i], floats, out, written) && !(in_place_allowed(op, two && i) && same))
      return SECATEUR_BAD_ARGUMENT;
  }
  return SECATEUR_OK;
}

static int sizes_fit(const secateur_task *task) {
  if ((!task->ops && task->n_ops) || task->n_ops < 0 || (!task->buffers && task->n_buffers) ||
      task->n_buffers < 0 || task->batch < 0 || task->batch > 1 << 24 || task->part < 0 ||
      task->part > 1 << 24 || task->threads < 1 || task->threads > 1 << 16)
    return 0;
  for (int32_t i = 0; i < task->n_buffers; i++) {
    int64_t step = task->buffers[i].step;
    if (step < 0 || (step && !task->part)) return 0;
  }
  return 1;
}

int32_t check_task(secateur_task *task, const struct isa *isa) {
  task->failed = -1;
  if (!sizes_fit(task)) return SECATEUR_BAD_ARGUMENT;
  for (int32_t i = 0; i < task->n_ops; i++) {
    const secateur_op *op = &task->ops[i];
    int32_t status = check_op(op, isa);
    int lanes = op->in_layout == SECATEUR_LANES || op->out_layout == SECATEUR_LANES;
    if (!status && lanes && task->part % isa->lanes) status = SECATEUR_BAD_ARGUMENT;
    if (!status) status = check_buffers(task, op, isa->lanes);
    if (status) {
      task->failed = i;
      return status;
    }
  }
  int64_t step = scratch_step(task->ops, task->n_ops, isa->lanes);
  if (step && (!task->scratch || task->scratch_bytes < task->threads * step + ALIGNMENT))
    return SECATEUR_SMALL_BUFFER;
  return SECATEUR_OK;
}
