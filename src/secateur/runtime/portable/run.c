/* Runs a network that `secateur package` wrote, without Python:
 *
 *     cc -O2 run.c secateur_runtime/runtime/kernels/_secateur.so -o run \
 *        -Wl,-rpath,'$ORIGIN/secateur_runtime/runtime/kernels'
 *     ./run net.plan < examples.f32 > answers.f32
 *
 * Examples and answers are bare float32, one after the other. */
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
} head;
typedef struct {
  int32_t kind, flags, in_layout, out_layout, input, other, output, weight;
  secateur_shape shape;
  int32_t batch, reserved;
} step;
typedef struct {
  int64_t offset, elements, nonzero, bias;
} weight;

static void *check(void *right, const char *what) {
  if (!right) fprintf(stderr, "run: %s\n", what), exit(1);
  return right;
}

static float *unfold(const char *file, const weight *w) { /* the elements, then the bias */
  const uint8_t *bits = (const uint8_t *)file + w->offset;
  const float *next = (const float *)(bits + (w->elements + 31) / 32 * 4);
  float *all = check(calloc(w->elements + w->bias + 1, sizeof *all), "out of memory");
  for (int64_t i = 0; i < w->elements; i++)
    if (bits[i / 8] >> i % 8 & 1) all[i] = *next++;
  return memcpy(all + w->elements, next, w->bias * sizeof *all), all;
}

static void need(secateur_buffer *buffer, const int32_t *sizes) {
  int64_t floats = (int64_t)sizes[0] * sizes[1] * sizes[2];
  if (floats > buffer->count) buffer->count = floats;
}

int main(int argc, char **argv) {
  FILE *stream = check(argc == 2 ? fopen(argv[1], "rb") : NULL, "give a plan file");
  fseek(stream, 0, SEEK_END);
  long size = ftell(stream);
  char *file = check(calloc(size + sizeof(head), 1), "out of memory");
  rewind(stream);
  const head *h = (head *)file;
  int whole = fread(file, 1, size, stream) == (size_t)size && !memcmp(h->magic, "SECATEUR", 8);
  if (!whole || h->version != 1 || h->abi != secateur_abi()) check(NULL, "no plan of this version");
  const step *steps = (step *)(h + 1);
  const weight *weights = (weight *)(steps + h->ops + h->lane_ops);
  secateur_op *ops = check(calloc(h->ops, sizeof *ops), "out of memory");
  secateur_buffer *buffers = check(calloc(h->buffers, sizeof *buffers), "out of memory");
  for (int i = 0; i < h->ops; i++) {
    const step *s = &steps[i];
    memcpy(&ops[i], s, offsetof(secateur_op, shape));
    ops[i].shape = s->shape, ops[i].reserved = 0;
    need(&buffers[s->input], &s->shape.in_channels),
        need(&buffers[s->output], &s->shape.out_channels);
    if (s->weight < 0) continue;
    const weight *w = &weights[s->weight];
    float *all = unfold(file, w);
    ops[i].pack = all, ops[i].pack_bytes = w->elements * sizeof *all;
    if (s->kind != SECATEUR_LINEAR && s->kind != SECATEUR_CONV2D) continue;
    secateur_layer layer = {s->kind,       s->in_layout, s->out_layout,
                            SECATEUR_AUTO, s->batch,     s->shape};
    int64_t bytes = ops[i].pack_bytes = secateur_pack_bytes(&layer, all);
    void *pack = check(bytes > 0 ? aligned_alloc(64, (bytes + 63) / 64 * 64) : NULL, "a bad layer");
    const float *bias = w->bias ? all + w->elements : NULL;
    if (secateur_pack(&layer, all, bias, pack, bytes)) check(NULL, "a bad weight");
    ops[i].pack = pack, free(all);
  }
  for (int i = 0; i < h->buffers; i++)
    buffers[i].data = check(calloc(buffers[i].count + 1, sizeof(float)), "out of memory");
  int64_t bytes = secateur_scratch_bytes(ops, h->ops, 1);
  void *scratch = check(bytes < 0 ? NULL : malloc(bytes + 1), "ops that do not fit together");
  secateur_task task = {ops, buffers, scratch, bytes, 1, 0, h->ops, h->buffers, 1, -1};
  while (fread(buffers[0].data, sizeof(float), buffers[0].count, stdin) ==
         (size_t)buffers[0].count) {
    if (secateur_run(&task)) check(NULL, "the plan does not run here");
    fwrite(buffers[1].data, sizeof(float), buffers[1].count, stdout);
  }
  return 0;
}
