/* Reads a plan file, as `secateur package` writes it, and packs its weights for this machine.
 *
 * A header alone, in plain C11: include it in one file of a program that is linked with the kernels.
 * The format stands in docs/format.md (plan files). A file is read as it is: it must come from whom
 * you trust, unlike in Python, where every number in it is checked. */
#ifndef SECATEUR_PLAN_H
#define SECATEUR_PLAN_H

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "secateur.h"

typedef struct { /* little-endian, as everything in the file */
  char magic[8];
  int32_t version, abi, ops, buffers, lane_ops, lane_buffers, weights;
  int32_t in_axes, in_sizes[6], out_axes, out_sizes[6], reserved;
  uint8_t sha256[32];
} secateur_plan_head;

typedef struct {
  int32_t kind, flags, in_layout, out_layout, input, other, output, weight;
  secateur_shape shape;
  int32_t batch, reserved;
} secateur_plan_op;

typedef struct {
  int64_t offset, elements, nonzero, bias;
} secateur_plan_weight;

/* A network that runs one image after the other on the calling thread. `task.buffers[0]` takes an
 * image, `task.buffers[1]` has the answer once `secateur_run(&net.task)` has run. */
typedef struct {
  secateur_task task;
  secateur_op *ops;
  secateur_buffer *buffers;
} secateur_net;

/* The whole of a file; NULL if it is no plan of this version, or cannot be read. */
static char *secateur_plan_read(const char *path) {
  FILE *stream = fopen(path, "rb");
  if (!stream) return NULL;
  fseek(stream, 0, SEEK_END);
  long size = ftell(stream);
  rewind(stream);
  char *file = size < 0 ? NULL : (char *)calloc((size_t)size + sizeof(secateur_plan_head), 1);
  const secateur_plan_head *head = (const secateur_plan_head *)file;
  int whole = file && fread(file, 1, (size_t)size, stream) == (size_t)size;
  fclose(stream);
  if (whole && !memcmp(head->magic, "SECATEUR", 8) && head->version == 1 &&
      head->abi == secateur_abi())
    return file;
  free(file);
  return NULL;
}

/* The elements of a weight, then its bias. */
static float *secateur_plan_unfold(const char *file, const secateur_plan_weight *weight) {
  const uint8_t *bits = (const uint8_t *)file + weight->offset;
  const float *next = (const float *)(bits + (weight->elements + 31) / 32 * 4);
  float *all = (float *)calloc((size_t)(weight->elements + weight->bias + 1), sizeof *all);
  for (int64_t i = 0; all && i < weight->elements; i++)
    if (bits[i / 8] >> i % 8 & 1) all[i] = *next++;
  return all ? (memcpy(all + weight->elements, next, (size_t)weight->bias * sizeof *all), all)
             : NULL;
}

/* What an op multiplies by: packed, or the numbers as they are. 0 if it cannot be. */
static int secateur_plan_pack(const char *file, const secateur_plan_op *from,
                              const secateur_plan_weight *weight, secateur_op *op) {
  float *all = secateur_plan_unfold(file, weight);
  op->pack = all, op->pack_bytes = weight->elements * (int64_t)sizeof *all;
  if (!all || (from->kind != SECATEUR_LINEAR && from->kind != SECATEUR_CONV2D)) return all != NULL;
  secateur_layer layer = {from->kind,    from->in_layout, from->out_layout,
                          SECATEUR_AUTO, from->batch,     from->shape};
  int64_t bytes = op->pack_bytes = secateur_pack_bytes(&layer, all);
  void *pack = bytes > 0 ? aligned_alloc(64, (size_t)(bytes + 63) / 64 * 64) : NULL;
  const float *bias = weight->bias ? all + weight->elements : NULL;
  int packed = pack && !secateur_pack(&layer, all, bias, pack, bytes);
  op->pack = pack;
  free(all);
  return packed;
}

static void secateur_plan_need(secateur_buffer *buffer, const int32_t *sizes) {
  int64_t floats = (int64_t)sizes[0] * sizes[1] * sizes[2];
  if (floats > buffer->count) buffer->count = floats;
}

/* Makes a network of a file. NULL if all is well, else what is not; nothing is freed then. */
static const char *secateur_plan_load(const char *path, secateur_net *net) {
  const char *file = secateur_plan_read(path);
  if (!file) return "no plan of this version";
  const secateur_plan_head *head = (const secateur_plan_head *)file;
  const secateur_plan_op *steps = (const secateur_plan_op *)(head + 1);
  const secateur_plan_weight *weights =
      (const secateur_plan_weight *)(steps + head->ops + head->lane_ops);
  secateur_op *ops = net->ops = (secateur_op *)calloc((size_t)head->ops + 1, sizeof *ops);
  secateur_buffer *buffers = net->buffers =
      (secateur_buffer *)calloc((size_t)head->buffers + 1, sizeof *buffers);
  if (!ops || !buffers) return "out of memory";
  for (int32_t i = 0; i < head->ops; i++) {
    memcpy(&ops[i], &steps[i], offsetof(secateur_op, reserved));
    ops[i].shape = steps[i].shape;
    secateur_plan_need(&buffers[steps[i].input], &steps[i].shape.in_channels);
    secateur_plan_need(&buffers[steps[i].output], &steps[i].shape.out_channels);
    int32_t weight = steps[i].weight;
    if (weight >= 0 && !secateur_plan_pack(file, &steps[i], &weights[weight], &ops[i]))
      return "a bad weight";
  }
  for (int32_t i = 0; i < head->buffers; i++)
    if (!(buffers[i].data = (float *)calloc((size_t)buffers[i].count + 1, sizeof(float))))
      return "out of memory";
  int64_t bytes = secateur_scratch_bytes(ops, head->ops, 1);
  if (bytes < 0) return "ops that do not fit together";
  void *scratch = malloc((size_t)bytes + 1);
  if (!scratch) return "out of memory";
  net->task = (secateur_task){.ops = ops,
                              .buffers = buffers,
                              .scratch = scratch,
                              .scratch_bytes = bytes,
                              .batch = 1,
                              .n_ops = head->ops,
                              .n_buffers = head->buffers,
                              .threads = 1,
                              .failed = -1};
  free((void *)file);
  return NULL;
}

#endif
