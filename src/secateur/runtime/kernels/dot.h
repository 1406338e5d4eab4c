/* A linear layer image by image: one dot product of a sparse row with the input for each output.
 *
 * The gather instruction is slower than single loads on AMD, and on Intel since the fix for
 * Downfall; so the input's numbers are loaded one by one straight into the lanes of a vector, and
 * only the weights and the multiply-add are vectors. Half of the column numbers come four at once from a
 * 64-bit load and are cut up by the integer units, the others are loaded one by one: so
 * the load units and the integer units are busy for the same time. */
#ifndef SECATEUR_DOT_H
#define SECATEUR_DOT_H

#include "isa.h"
#include "vector.h"

#define DOT_LANES (LANES < 8 ? 4 : 8)
typedef float dot_vec __attribute__((vector_size(4 * DOT_LANES)));
typedef float loose_dot_vec __attribute__((vector_size(4 * DOT_LANES), aligned(4), may_alias));

ALWAYS dot_vec pick_narrow(const float *x, const uint16_t *at) {
  uint64_t four;
  memcpy(&four, at, sizeof four);
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
  float a = x[(uint16_t)four], b = x[(uint16_t)(four >> 16)], c = x[(uint16_t)(four >> 32)],
        d = x[four >> 48];
#else
  float a = x[at[0]], b = x[at[1]], c = x[at[2]], d = x[at[3]];
#endif
#if LANES < 8
  return (dot_vec){a, b, c, d};
#else
  return (dot_vec){a, b, c, d, x[at[4]], x[at[5]], x[at[6]], x[at[7]]};
#endif
}

ALWAYS dot_vec pick_wide(const float *x, const uint32_t *at) {
#if LANES < 8
  return (dot_vec){x[at[0]], x[at[1]], x[at[2]], x[at[3]]};
#else
  return (dot_vec){x[at[0]], x[at[1]], x[at[2]], x[at[3]], x[at[4]], x[at[5]], x[at[6]], x[at[7]]};
#endif
}

ALWAYS float sum_of(dot_vec v) {
#if LANES < 8
  return (v[0] + v[2]) + (v[1] + v[3]);
#else
  return ((v[0] + v[4]) + (v[2] + v[6])) + ((v[1] + v[5]) + (v[3] + v[7]));
#endif
}

ALWAYS void dot_rows(const struct pack *pack, const float *x, float *y, int64_t first, int64_t last,
                     int fuse_relu, const int wide) {
  const int32_t *order = pack_at(pack, pack->order);
  const int64_t *indptr = pack_at(pack, pack->indptr);
  const float *bias = pack_at(pack, pack->bias), *values = pack_at(pack, pack->values);
  const uint16_t *narrow_indices = pack_at(pack, pack->indices);
  const uint32_t *wide_indices = pack_at(pack, pack->indices);
  for (int64_t row = first; row < last; row++) {
    int64_t i = indptr[row], end = indptr[row + 1];
    dot_vec sums = {0};
    for (; i + DOT_LANES <= end; i += DOT_LANES) {
      dot_vec picked = wide ? pick_wide(x, wide_indices + i) : pick_narrow(x, narrow_indices + i);
      sums += picked * *(const loose_dot_vec *)(values + i);
    }
    float sum = sum_of(sums) + bias[order[row]];
    for (; i < end; i++) sum += values[i] * x[wide ? wide_indices[i] : narrow_indices[i]];
    y[order[row]] = fuse_relu ? relu1(sum) : sum;
  }
}

/* Items: images x groups. */
static void run_dot(const struct job *job, int64_t first, int64_t last, float *scratch) {
  const struct pack *pack = job->op->pack;
  const int32_t *group = pack_at(pack, pack->group);
  int fuse_relu = job->op->flags & SECATEUR_FUSE_RELU;
  (void)scratch;
  while (first < last) {
    int64_t image = first / pack->groups, begin = first % pack->groups;
    int64_t end = min(pack->groups, begin + last - first);
    const float *x = job->input + image * pack->shape.in_channels;
    float *y = job->output + image * pack->shape.out_channels;
    if (pack->index_bits == 32) dot_rows(pack, x, y, group[begin], group[end], fuse_relu, 1);
    else dot_rows(pack, x, y, group[begin], group[end], fuse_relu, 0);
    first += end - begin;
  }
}

#endif
