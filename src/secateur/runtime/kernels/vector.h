/* Vectors, written once for every instruction set with the vector extension of GCC and Clang: the
 * compiler's flags decide what they become. Included by isa.c only. */
#ifndef SECATEUR_VECTOR_H
#define SECATEUR_VECTOR_H

#include <stdint.h>
#include <string.h>

/* MAX_TILE: sums that stay in registers. 16 registers: 12, so that the weight and, without fused
 * memory operands, the input fit beside them. 32 registers: 24. */
#if defined(SECATEUR_BUILD_AVX512)
#define ISA_TABLE secateur_avx512
#define ISA_NAME "avx512"
#define LANES 16
#define MAX_TILE 24
#elif defined(SECATEUR_BUILD_AVX2)
#define ISA_TABLE secateur_avx2
#define ISA_NAME "avx2"
#define LANES 8
#define MAX_TILE 12
#else
#define ISA_TABLE secateur_portable
#define LANES 4
#if defined(__aarch64__)
#define ISA_NAME "neon"
#define MAX_TILE 24
#else
#define ISA_NAME "portable"
#define MAX_TILE 12
#endif
#endif

#define ALWAYS static inline __attribute__((always_inline))

/* Loops over registers have to be unrolled: an array with a running index lives in memory. */
#if defined(__clang__)
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 24")
#endif

typedef float vec __attribute__((vector_size(4 * LANES)));
typedef int32_t ivec __attribute__((vector_size(4 * LANES)));
typedef float loose_vec __attribute__((vector_size(4 * LANES), aligned(4), may_alias));

ALWAYS vec load(const float *at) { return *(const loose_vec *)at; }
ALWAYS void store(float *at, vec value) { *(loose_vec *)at = value; }
ALWAYS vec splat(float value) { return value - (vec){0}; }

/* max(x, 0) that keeps a NaN, as torch's does: clears the bits of what is below zero. */
ALWAYS vec relu(vec x) { return (vec)((ivec)x & ~(x < 0)); }
ALWAYS float relu1(float x) { return x < 0 ? 0 : x; }

/* Of two lanes at a time: the greater, and a NaN if either is one. */
ALWAYS vec nan_max(vec a, vec b) {
  ivec take = (b > a) | (b != b);
  return (vec)(((ivec)b & take) | ((ivec)a & ~take));
}
ALWAYS float nan_max1(float a, float b) { return b > a || b != b ? b : a; }

#if defined(__clang__)
#define LANE_PICK(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
#define LANE_PICK(a, b, ...) __builtin_shuffle(a, b, (ivec){__VA_ARGS__})
#endif

/* One step of a transpose: swaps the upper right with the lower left S x S corner of each 2S x 2S
 * square that the rows a and b = a + S hold. */
#if LANES == 4
#define SWAP1_LOW 0, 4, 2, 6
#define SWAP1_HIGH 1, 5, 3, 7
#define SWAP2_LOW 0, 1, 4, 5
#define SWAP2_HIGH 2, 3, 6, 7
#elif LANES == 8
#define SWAP1_LOW 0, 8, 2, 10, 4, 12, 6, 14
#define SWAP1_HIGH 1, 9, 3, 11, 5, 13, 7, 15
#define SWAP2_LOW 0, 1, 8, 9, 4, 5, 12, 13
#define SWAP2_HIGH 2, 3, 10, 11, 6, 7, 14, 15
#define SWAP4_LOW 0, 1, 2, 3, 8, 9, 10, 11
#define SWAP4_HIGH 4, 5, 6, 7, 12, 13, 14, 15
#else
#define SWAP1_LOW 0, 16, 2, 18, 4, 20, 6, 22, 8, 24, 10, 26, 12, 28, 14, 30
#define SWAP1_HIGH 1, 17, 3, 19, 5, 21, 7, 23, 9, 25, 11, 27, 13, 29, 15, 31
#define SWAP2_LOW 0, 1, 16, 17, 4, 5, 20, 21, 8, 9, 24, 25, 12, 13, 28, 29
#define SWAP2_HIGH 2, 3, 18, 19, 6, 7, 22, 23, 10, 11, 26, 27, 14, 15, 30, 31
#define SWAP4_LOW 0, 1, 2, 3, 16, 17, 18, 19, 8, 9, 10, 11, 24, 25, 26, 27
#define SWAP4_HIGH 4, 5, 6, 7, 20, 21, 22, 23, 12, 13, 14, 15, 28, 29, 30, 31
#define SWAP8_LOW 0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23
#define SWAP8_HIGH 8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27, 28, 29, 30, 31
#endif

/* Every second number of two vectors in a row. */
#if LANES == 4
#define EVEN_LANES(a, b) LANE_PICK(a, b, 0, 2, 4, 6)
#define ODD_LANES(a, b) LANE_PICK(a, b, 1, 3, 5, 7)
#elif LANES == 8
#define EVEN_LANES(a, b) LANE_PICK(a, b, 0, 2, 4, 6, 8, 10, 12, 14)
#define ODD_LANES(a, b) LANE_PICK(a, b, 1, 3, 5, 7, 9, 11, 13, 15)
#else
#define EVEN_LANES(a, b) LANE_PICK(a, b, 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30)
#define ODD_LANES(a, b) LANE_PICK(a, b, 1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31)
#endif

#define SWAP_STEP(S)                                                                               \
  UNROLL for (int i = 0; i < LANES; i++) if (!(i & S)) {                                           \
    vec a = row[i], b = row[i + S];                                                                \
    row[i] = LANE_PICK(a, b, SWAP##S##_LOW);                                                       \
    row[i + S] = LANE_PICK(a, b, SWAP##S##_HIGH);                                                  \
  }

/* Transpose the LANES x LANES square whose rows these are. */
ALWAYS void transpose_square(vec row[LANES]) {
  SWAP_STEP(1)
  SWAP_STEP(2)
#if LANES >= 8
  SWAP_STEP(4)
#endif
#if LANES >= 16
  SWAP_STEP(8)
#endif
}

/* Positions that lie one behind the other in an image, and elsewhere in lanes: `stride` floats apart,
 * or wherever `at` says. */
struct places {
  int64_t count, stride;
  const int32_t *at; /* NULL: by the stride */
};

ALWAYS int64_t place_of(const struct places *places, int64_t i) {
  return places->at ? places->at[i] : i * places->stride;
}

/* Images to lanes: the numbers of `images` <= LANES images that lie `image_stride` apart become
 * vectors. The lanes of images that are not there repeat the last one that is: whatever lies behind
 * it must not be read. The last square is moved back to end with the last position, so that it does
 * some a second time; fewer positions than LANES go one by one. */
static void gather_lanes(const float *from, int64_t image_stride, int64_t images, float *to,
                         const struct places *places) {
  int64_t count = places->count;
  const float *image[LANES];
  for (int lane = 0; lane < LANES; lane++)
    image[lane] = from + image_stride * (lane < images ? lane : images - 1);
  if (count < LANES) {
    for (int64_t i = 0; i < count; i++)
      for (int lane = 0; lane < LANES; lane++) to[place_of(places, i) + lane] = image[lane][i];
    return;
  }
  for (int64_t next = 0; next < count; next += LANES) {
    int64_t i = next + LANES <= count ? next : count - LANES;
    vec row[LANES];
    UNROLL for (int lane = 0; lane < LANES; lane++) row[lane] = load(image[lane] + i);
    transpose_square(row);
    UNROLL for (int k = 0; k < LANES; k++) store(to + place_of(places, i + k), row[k]);
  }
}

/* Lanes back to images: the reverse. */
static void scatter_lanes(const float *from, const struct places *places, int64_t images, float *to,
                          int64_t image_stride) {
  int64_t count = places->count;
  if (count < LANES) {
    for (int64_t i = 0; i < count; i++)
      for (int lane = 0; lane < images; lane++)
        to[lane * image_stride + i] = from[place_of(places, i) + lane];
    return;
  }
  for (int64_t next = 0; next < count; next += LANES) {
    int64_t i = next + LANES <= count ? next : count - LANES;
    vec row[LANES];
    UNROLL for (int k = 0; k < LANES; k++) row[k] = load(from + place_of(places, i + k));
    transpose_square(row);
    UNROLL for (int lane = 0; lane < LANES; lane++) if (lane < images)
        store(to + lane * image_stride + i, row[lane]);
  }
}

/* memcpy for rows of a few dozen floats, where the call would cost more than the copy. */
ALWAYS void copy_floats(float *to, const float *from, int64_t count) {
  if (count < LANES) {
    for (int64_t i = 0; i < count; i++) to[i] = from[i];
    return;
  }
  for (int64_t i = 0; i + LANES <= count; i += LANES) store(to + i, load(from + i));
  store(to + count - LANES, load(from + count - LANES));
}

ALWAYS void zero_floats(float *to, int64_t count) {
  int64_t i = 0;
  for (; i + LANES <= count; i += LANES) store(to + i, (vec){0});
  for (; i < count; i++) to[i] = 0;
}

#endif
