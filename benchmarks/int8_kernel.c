/* A prototype: does a sparse INT8 layer beat the sparse float32 one on AVX2?
 *
 *     cc -O3 -mavx2 -mfma benchmarks/int8_kernel.c -o /tmp/int8_kernel && /tmp/int8_kernel
 *
 * A linear layer over 64 images side by side, as the float32 kernels lay a big batch. Float32: for each
 * weight that is left, eight multiply-adds of eight images. INT8: weights in pairs, so that one
 * vpmaddubsw multiplies both for sixteen images (seven bits of a weight: the pair fits sixteen bits),
 * then widened and added in 32 bits. Both are checked against a plain loop. */
#include <immintrin.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { IMAGES = 64, ROUNDS = 41 };

typedef struct {
  int rows, columns, *starts, *index;
  float *value;
  int8_t *byte;
} sparse;

static sparse drawn(int rows, int columns, double kept) {
  sparse s = {rows, columns, calloc(rows + 1, sizeof(int)), NULL, NULL, NULL};
  int room = rows * columns + 2 * rows, n = 0;
  s.index = malloc(room * sizeof(int)), s.value = malloc(room * sizeof(float)),
  s.byte = malloc(room);
  for (int r = 0; r < rows; r++) {
    for (int c = 0; c < columns; c++)
      if (rand() < kept * RAND_MAX) {
        s.byte[n] = (int8_t)(rand() % 127 - 63);
        s.value[n] = s.byte[n], s.index[n++] = c;
      }
    if ((n - s.starts[r]) % 2) s.byte[n] = 0, s.value[n] = 0, s.index[n++] = 0; /* whole pairs */
    s.starts[r + 1] = n;
  }
  return s;
}

static void in_float(const sparse *s, const float *x, float *y) {
  for (int r = 0; r < s->rows; r++) {
    __m256 sum[8];
    for (int v = 0; v < 8; v++) sum[v] = _mm256_setzero_ps();
    for (int n = s->starts[r]; n < s->starts[r + 1]; n++) {
      __m256 w = _mm256_broadcast_ss(&s->value[n]);
      const float *in = x + (size_t)s->index[n] * IMAGES;
      for (int v = 0; v < 8; v++) sum[v] = _mm256_fmadd_ps(w, _mm256_load_ps(in + 8 * v), sum[v]);
    }
    for (int v = 0; v < 8; v++) _mm256_store_ps(y + (size_t)r * IMAGES + 8 * v, sum[v]);
  }
}

static void in_int8(const sparse *s, const uint8_t *x, int32_t *y) {
  for (int r = 0; r < s->rows; r++) {
    __m256i sum[8];
    for (int v = 0; v < 8; v++) sum[v] = _mm256_setzero_si256();
    for (int n = s->starts[r]; n < s->starts[r + 1]; n += 2) {
      __m256i w = _mm256_set1_epi16((int16_t)((uint8_t)s->byte[n] | (uint8_t)s->byte[n + 1] << 8));
      const uint8_t *a = x + (size_t)s->index[n] * IMAGES,
                    *b = x + (size_t)s->index[n + 1] * IMAGES;
      for (int v = 0; v < 2; v++) {
        __m256i one = _mm256_load_si256((const __m256i *)a + v);
        __m256i two = _mm256_load_si256((const __m256i *)b + v);
        __m256i low = _mm256_maddubs_epi16(_mm256_unpacklo_epi8(one, two), w);
        __m256i high = _mm256_maddubs_epi16(_mm256_unpackhi_epi8(one, two), w);
        __m256i parts[4] = {
            _mm256_cvtepi16_epi32(_mm256_castsi256_si128(low)),
            _mm256_cvtepi16_epi32(_mm256_castsi256_si128(high)),
            _mm256_cvtepi16_epi32(_mm256_extracti128_si256(low, 1)),
            _mm256_cvtepi16_epi32(_mm256_extracti128_si256(high, 1)),
        };
        for (int p = 0; p < 4; p++) sum[4 * v + p] = _mm256_add_epi32(sum[4 * v + p], parts[p]);
      }
    }
    for (int v = 0; v < 8; v++) _mm256_store_si256((__m256i *)(y + (size_t)r * IMAGES) + v, sum[v]);
  }
}

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return 1e6 * t.tv_sec + 1e-3 * t.tv_nsec;
}

static int by_size(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static void measure(int rows, int columns, double kept) {
  sparse s = drawn(rows, columns, kept);
  size_t in = (size_t)columns * IMAGES, out = (size_t)rows * IMAGES;
  float *x = aligned_alloc(64, in * 4), *y = aligned_alloc(64, out * 4);
  uint8_t *bytes = aligned_alloc(64, in);
  int32_t *sums = aligned_alloc(64, out * 4);
  for (size_t i = 0; i < in; i++) x[i] = bytes[i] = (uint8_t)(rand() % 256);
  double times[2][ROUNDS];
  for (int i = 0; i < ROUNDS; i++) { /* interleaved */
    double begun = now();
    in_float(&s, x, y);
    double between = now();
    in_int8(&s, bytes, sums);
    times[0][i] = between - begun, times[1][i] = now() - between;
  }
  for (int r = 0; r < rows; r++)
    for (int m = 0; m < IMAGES; m++) {
      long expected = 0;
      for (int n = s.starts[r]; n < s.starts[r + 1]; n++)
        expected += (long)s.byte[n] * bytes[(size_t)s.index[n] * IMAGES + m];
      if (fabs(y[(size_t)r * IMAGES + m] - expected) > 1e-3 * (1 + labs(expected)))
        printf("float32 is wrong\n"), exit(1);
    }
  long whole = 0, other = 0; /* lanes come out in another order: their sum does not */
  for (size_t i = 0; i < out; i++) whole += lrintf(y[i]), other += sums[i];
  if (labs(whole - other) > 1e-4 * (1 + labs(whole))) printf("INT8 is wrong\n"), exit(1);
  for (int k = 0; k < 2; k++) qsort(times[k], ROUNDS, sizeof(double), by_size);
  double a = times[0][ROUNDS / 2], b = times[1][ROUNDS / 2];
  printf("| %dx%d | %.0f %% | %.1f | %.1f | %.2f |\n", rows, columns, 100 * (1 - kept), a, b,
         a / b);
  free(s.starts), free(s.index), free(s.value), free(s.byte);
  free(x), free(y), free(bytes), free(sums);
}

int main(void) {
  srand(0);
  printf("| layer | zeros | float32, µs | INT8, µs | float32 / INT8 |\n|---|---|---|---|---|\n");
  for (int size = 256; size <= 4096; size *= 4)
    for (double kept = 0.1; kept > 0.04; kept /= 2) measure(size, size, kept);
  return 0;
}
