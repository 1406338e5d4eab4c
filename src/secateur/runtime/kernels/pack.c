/* Packing: the weights of a layer in the order in which they are used. */
#include "plan.h"
#include "pack.h"

#include <string.h>

#include "geometry.h"

/* Non-zeros of one output channel within a block. */
static int64_t count_row(const struct pack *pack, const float *weight, int64_t channel,
                         int64_t block) {
  int64_t kernel_size = (int64_t)pack->shape.kernel_height * pack->shape.kernel_width;
  int64_t first = block * pack->block_channels, count = 0;
  int64_t last = min(first + pack->block_channels, pack->shape.in_channels);
  const float *row = weight + channel * pack->shape.in_channels * kernel_size;
  for (int64_t i = first * kernel_size; i < last * kernel_size; i++) count += row[i] != 0;
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
 * step, which the branch predictor learns. An insertion sort; the counts are kept in `indptr` until
 * they are summed up. */
static void fill_order(const struct pack *pack, const float *weight, const int32_t *group,
                       int32_t *order, int64_t *indptr) {
  int64_t channels = pack->shape.out_channels, total = 0;
  for (int64_t block = 0; block < pack->blocks; block++) {
    int32_t *rows = order + block * channels;
    int64_t *counts = indptr + block * channels;
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
    int64_t count = indptr[row];
    indptr[row] = total;
    total += count;
  }
  indptr[pack->blocks * channels] = total;
}

static void fill_weights(const struct pack *pack, const float *weight, const int32_t *order,
                         void *indices, float *values) {
  const secateur_shape *s = &pack->shape;
  int dot = pack->kind == SECATEUR_LINEAR && pack->algorithm == SECATEUR_BY_IMAGE;
  int64_t kernel_size = (int64_t)s->kernel_height * s->kernel_width, at = 0;
  for (int64_t block = 0; block < pack->blocks; block++)
    for (int64_t row = 0; row < s->out_channels; row++) {
      int64_t first = block * pack->block_channels;
      int64_t last = min(first + pack->block_channels, s->in_channels);
      const float *from =
          weight + order[block * s->out_channels + row] * s->in_channels * kernel_size;
      for (int64_t channel = first; channel < last; channel++)
        for (int64_t place = 0; place < kernel_size; place++) {
          float w = from[channel * kernel_size + place];
          if (w == 0) continue;
          int64_t where = dot ? channel
                              : index_of(pack, channel - first, place / s->kernel_width,
                                         place % s->kernel_width);
          if (pack->index_bits == 16) ((uint16_t *)indices)[at] = (uint16_t)where;
          else ((uint32_t *)indices)[at] = (uint32_t)where;
          values[at++] = w;
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
  fill_order(&pack, weight, group, order, (int64_t *)(bytes + pack.indptr));
  fill_weights(&pack, weight, order, bytes + pack.indices, (float *)(bytes + pack.values));
  return SECATEUR_OK;
}
