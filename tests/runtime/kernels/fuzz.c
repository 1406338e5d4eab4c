/* Random ops against plain loops in double, in buffers of exactly the size that is asked for: for
 * the sanitizers and valgrind (`make sanitize`), which see every byte beyond.
 *
 * usage: fuzz ROUNDS [SEED]; exits with 1 at the first difference. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "secateur.h"

extern void GOMP_parallel(void (*)(void *), void *, unsigned, unsigned);
extern void GOMP_barrier(void);
extern int omp_get_thread_num(void), omp_get_num_threads(void);

static uint64_t state;

static int pick(int low, int high) { /* both ends included */
  state = state * 6364136223846793005u + 1442695040888963407u;
  return low + (int)((state >> 33) % (uint64_t)(high - low + 1));
}

static float number(void) { return (float)pick(-1000, 1000) / 500; }

static float *floats(int64_t count) {
  float *made = malloc(count ? count * sizeof *made : 1);
  for (int64_t i = 0; i < count; i++) made[i] = number();
  return made;
}

static void die(const char *what, const secateur_op *op, int64_t batch, int code) {
  const secateur_shape *s = &op->shape;
  printf("%s %d: isa %s kind %d flags %d layouts %d %d batch %lld\n", what, code, secateur_isa(),
         op->kind, op->flags, op->in_layout, op->out_layout, (long long)batch);
  printf("in %d %d %d out %d %d %d kernel %d %d stride %d %d pad %d %d dilation %d %d\n",
         s->in_channels, s->in_height, s->in_width, s->out_channels, s->out_height, s->out_width,
         s->kernel_height, s->kernel_width, s->stride_height, s->stride_width, s->pad_top,
         s->pad_left, s->dilation_height, s->dilation_width);
  exit(1);
}

/* Where the number of an image and a feature lies. */
static int64_t at(int layout, int64_t image, int64_t feature, int64_t features) {
  int64_t lanes = secateur_lanes();
  if (layout == SECATEUR_PLAIN) return image * features + feature;
  return (image / lanes * features + feature) * lanes + image % lanes;
}

static int64_t size(int layout, int64_t batch, int64_t features) {
  int64_t lanes = secateur_lanes();
  return (layout == SECATEUR_PLAIN ? batch : (batch + lanes - 1) / lanes * lanes) * features;
}

static int reads_two(int kind) {
  return kind == SECATEUR_ADD || kind == SECATEUR_MUL || kind == SECATEUR_SCALE;
}

/* Features of what is read second. */
static int64_t other_size(const secateur_op *op) {
  const secateur_shape *s = &op->shape;
  int64_t plane = (int64_t)s->in_height * s->in_width;
  if (op->kind == SECATEUR_SCALE) return s->in_channels;
  return s->in_channels * plane;
}

static double activated(const secateur_op *op, double x) {
  const float *given = op->pack;
  double hard = fmin(fmax(x + 3, 0), 6) / 6, sigmoid = 1 / (1 + exp(-x));
  switch (op->flags >> SECATEUR_FUNCTION_SHIFT) {
    case SECATEUR_CLAMP:
      x = x < given[0] ? given[0] : x;
      return x > given[1] ? given[1] : x;
    case SECATEUR_LEAKY:
      return x < 0 ? x * given[0] : x;
    case SECATEUR_ELU:
      return x < 0 ? given[0] * expm1(x) : x;
    case SECATEUR_SIGMOID:
      return sigmoid;
    case SECATEUR_HARD_SIGMOID:
      return hard;
    case SECATEUR_SILU:
      return x * sigmoid;
    case SECATEUR_HARD_SWISH:
      return x * hard;
    case SECATEUR_TANH:
      return tanh(x);
    case SECATEUR_GELU:
      return x / 2 * (1 + erf(x / sqrt(2)));
    default:
      return x / 2 * (1 + tanh(sqrt(2 / acos(-1)) * (x + 0.044715 * x * x * x)));
  }
}

/* One output of what computes nothing. */
static double moved(const secateur_op *op, const float *x, int64_t image, int channel, int row,
                    int column) {
  const secateur_shape *s = &op->shape;
  int64_t plane = (int64_t)s->in_height * s->in_width, in = s->in_channels * plane;
  if (op->kind == SECATEUR_PLACE) {
    int64_t place = (int64_t)row * s->in_width + column;
    return x[at(op->in_layout, image, (channel - s->pad_top) * plane + place, in)];
  }
  int down = row + s->pad_top, along = column + s->pad_left;
  int64_t from = (int64_t)channel * s->stride_height + down % s->stride_height;
  from = from * s->stride_width + along % s->stride_width;
  from = (from * s->in_height + down / s->stride_height) * s->in_width + along / s->stride_width;
  return x[at(op->in_layout, image, from, in)];
}

struct sums {
  double total, top;
  int inside, padded;
};

/* One output, tap by tap. */
static double expected(const secateur_op *op, const float *x, const float *other,
                       const float *weight, const float *bias, int64_t image, int channel, int row,
                       int column) {
  const secateur_shape *s = &op->shape;
  int64_t in = (int64_t)s->in_channels * s->in_height * s->in_width;
  if (op->kind == SECATEUR_PLACE || op->kind == SECATEUR_SHUFFLE)
    return moved(op, x, image, channel, row, column);
  int weighted = op->kind == SECATEUR_LINEAR || op->kind == SECATEUR_CONV2D;
  int whole = op->kind == SECATEUR_GLOBAL_AVG_POOL;
  int kernel_h = whole ? s->in_height : s->kernel_height;
  int kernel_w = whole ? s->in_width : s->kernel_width;
  struct sums sums = {0, -INFINITY, 0, 0};
  for (int c = weighted ? 0 : channel; c <= (weighted ? s->in_channels - 1 : channel); c++)
    for (int i = 0; i < kernel_h; i++)
      for (int j = 0; j < kernel_w; j++) {
        int y = row * s->stride_height - s->pad_top + i * s->dilation_height;
        int z = column * s->stride_width - s->pad_left + j * s->dilation_width;
        sums.padded += y < s->in_height + s->pad_top && z < s->in_width + s->pad_left;
        if (y < 0 || y >= s->in_height || z < 0 || z >= s->in_width) continue;
        int64_t feature = ((int64_t)c * s->in_height + y) * s->in_width + z;
        double value = x[at(op->in_layout, image, feature, in)];
        if (op->kind == SECATEUR_ADD) value += other[at(op->in_layout, image, feature, in)];
        if (op->kind == SECATEUR_MUL) value *= other[at(op->in_layout, image, feature, in)];
        if (op->kind == SECATEUR_SCALE) value *= other[at(op->in_layout, image, c, s->in_channels)];
        if (op->kind == SECATEUR_ACTIVATE) value = activated(op, value);
        if (weighted)
          value *= weight[(((int64_t)channel * s->in_channels + c) * kernel_h + i) * kernel_w + j];
        sums.total += value;
        sums.top = fmax(sums.top, value);
        sums.inside++;
      }
  double result = sums.total;
  if (weighted) result += bias ? bias[channel] : 0;
  if (op->kind == SECATEUR_AFFINE)
    result = result * weight[channel] + weight[s->in_channels + channel];
  if (op->kind == SECATEUR_MAX_POOL) result = sums.top;
  if (op->kind == SECATEUR_AVG_POOL)
    result /= op->flags & SECATEUR_COUNT_PADDING ? sums.padded : sums.inside;
  if (whole) result /= sums.inside;
  if (op->kind > SECATEUR_GLOBAL_AVG_POOL) return result;
  int clamp = op->flags & SECATEUR_FUSE_RELU || op->kind == SECATEUR_RELU;
  return clamp && result < 0 ? 0 : result;
}

static int outputs(int in, int kernel, int dilation, int stride, int pad) {
  return (in + 2 * pad - dilation * (kernel - 1) - 1) / stride + 1;
}

static int random_shape(secateur_shape *s, int kind) {
  int windows = kind == SECATEUR_CONV2D || kind == SECATEUR_MAX_POOL || kind == SECATEUR_AVG_POOL;
  *s = (secateur_shape){pick(1, 9), 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 1, 1};
  if (kind == SECATEUR_LINEAR) s->in_channels = pick(1, 200);
  else s->in_height = pick(1, 24), s->in_width = pick(1, 24);
  if (windows) {
    s->kernel_height = pick(1, 4), s->kernel_width = pick(1, 4);
    s->stride_height = pick(1, 3), s->stride_width = pick(1, 3);
    if (kind != SECATEUR_AVG_POOL) s->dilation_height = pick(1, 3), s->dilation_width = pick(1, 3);
    int max_h = s->kernel_height / 2, max_w = s->kernel_width / 2;
    if (kind == SECATEUR_CONV2D) max_h = max_w = 4;
    s->pad_top = pick(0, max_h), s->pad_left = pick(0, max_w);
  }
  if (kind == SECATEUR_SHUFFLE) {
    s->stride_height = pick(1, 3), s->stride_width = pick(1, 3);
    s->out_channels = pick(1, 4);
    s->in_channels = s->out_channels * s->stride_height * s->stride_width;
    s->pad_top = pick(0, s->stride_height - 1), s->pad_left = pick(0, s->stride_width - 1);
    s->out_height = pick(1, s->in_height * s->stride_height - s->pad_top);
    s->out_width = pick(1, s->in_width * s->stride_width - s->pad_left);
    return 1;
  }
  if (s->in_height + 2 * s->pad_top < s->dilation_height * (s->kernel_height - 1) + 1 ||
      s->in_width + 2 * s->pad_left < s->dilation_width * (s->kernel_width - 1) + 1)
    return 0;
  s->out_channels =
      kind == SECATEUR_LINEAR || kind == SECATEUR_CONV2D ? pick(1, 40) : s->in_channels;
  s->out_height =
      outputs(s->in_height, s->kernel_height, s->dilation_height, s->stride_height, s->pad_top);
  s->out_width =
      outputs(s->in_width, s->kernel_width, s->dilation_width, s->stride_width, s->pad_left);
  if (kind == SECATEUR_GLOBAL_AVG_POOL) s->out_height = s->out_width = 1;
  if (kind == SECATEUR_PLACE) s->pad_top = pick(0, 3), s->out_channels += s->pad_top + pick(0, 3);
  return 1;
}

static void *pack_of(secateur_op *op, const float *weight, const float *bias, int64_t batch) {
  int lanes = op->in_layout || op->out_layout;
  int algorithm = lanes ? pick(0, 1) * SECATEUR_BY_LANE : pick(0, 2);
  secateur_layer layer = {op->kind,  op->in_layout, op->out_layout,
                          algorithm, pick(1, 40),   op->shape};
  int64_t bytes = secateur_pack_bytes(&layer, weight);
  if (bytes < 0) die("pack_bytes", op, batch, (int)-bytes);
  void *blob = aligned_alloc(64, bytes);
  int status = secateur_pack(&layer, weight, bias, blob, bytes);
  secateur_pack_info info;
  if (!status) status = secateur_inspect(blob, bytes, &info);
  if (status) die("pack", op, batch, status);
  op->pack = blob;
  op->pack_bytes = bytes;
  return blob;
}

static void compare(const secateur_op *op, const float *x, const float *other, const float *weight,
                    const float *bias, const float *y, int64_t batch) {
  const secateur_shape *s = &op->shape;
  int64_t out = (int64_t)s->out_channels * s->out_height * s->out_width;
  for (int64_t image = 0; image < batch; image++)
    for (int64_t i = 0; i < out; i++) {
      int column = (int)(i % s->out_width), row = (int)(i / s->out_width % s->out_height);
      int channel = (int)(i / s->out_width / s->out_height);
      int beside = channel < s->pad_top || channel >= s->pad_top + s->in_channels;
      if (op->kind == SECATEUR_PLACE && beside) continue; /* not written */
      double want = expected(op, x, other, weight, bias, image, channel, row, column);
      double got = y[at(op->out_layout, image, i, out)];
      if (!(got == want || fabs(got - want) <= 1e-4 * (1 + fabs(want))))
        die("value", op, batch, (int)i);
    }
}

/* A pack with one byte changed is refused, or harmless: it must not be followed out of bounds. */
static void damage(secateur_task *task) {
  secateur_pack_info info;
  const secateur_op *op = task->ops;
  unsigned char *blob = (unsigned char *)op->pack;
  blob[pick(0, (int)op->pack_bytes - 1)] ^= (unsigned char)(1 << pick(0, 7));
  if (secateur_inspect(blob, op->pack_bytes, &info)) return;
  int64_t needed = secateur_scratch_bytes(op, task->n_ops, task->threads);
  if (needed >= 0 && needed <= task->scratch_bytes) secateur_run(task);
}

/* A second op behind the first: what lies between them is one part for each thread, or the batch. */
static secateur_op copy_behind(secateur_op *op) {
  const secateur_shape *s = &op->shape;
  secateur_op copy = {.kind = SECATEUR_COPY,
                      .in_layout = op->out_layout,
                      .out_layout = pick(0, 1),
                      .input = 3,
                      .other = -1,
                      .output = 1};
  copy.shape = (secateur_shape){s->out_channels,
                                s->out_height,
                                s->out_width,
                                s->out_channels,
                                s->out_height,
                                s->out_width,
                                1,
                                1,
                                1,
                                1,
                                0,
                                0,
                                1,
                                1};
  op->output = 3;
  return copy;
}

static void one_round(void) {
  secateur_op ops[2] = {
      {.kind = pick(SECATEUR_LINEAR, SECATEUR_SHUFFLE), .other = -1, .output = 1}};
  secateur_op *op = ops;
  if (!random_shape(&op->shape, op->kind)) return;
  const secateur_shape *s = &op->shape;
  int packed = op->kind == SECATEUR_LINEAR || op->kind == SECATEUR_CONV2D;
  int64_t batch = pick(1, 20), in = (int64_t)s->in_channels * s->in_height * s->in_width;
  int64_t out = (int64_t)s->out_channels * s->out_height * s->out_width;
  int64_t part = pick(0, 1) * pick(1, 3) * secateur_lanes();
  int threads = pick(1, 3), chained = pick(0, 1);
  op->flags = pick(0, 3);
  if (op->kind == SECATEUR_ACTIVATE)
    op->flags |= pick(SECATEUR_CLAMP, SECATEUR_GELU_TANH) << SECATEUR_FUNCTION_SHIFT;
  op->in_layout = op->out_layout = pick(0, 1);
  if (packed || op->kind == SECATEUR_COPY) op->out_layout = pick(0, 1);
  int64_t kernel = (int64_t)s->kernel_height * s->kernel_width * s->in_channels;
  int64_t weights = packed ? kernel * s->out_channels : 2 * s->in_channels;
  float *weight = floats(weights), *bias = pick(0, 3) ? floats(s->out_channels) : NULL;
  int zeros = packed ? pick(0, 100) : 0;
  for (int64_t i = 0; i < weights; i++)
    if (pick(1, 100) <= zeros) weight[i] = 0;
  void *blob = packed ? pack_of(op, weight, bias, batch) : NULL;
  if (op->kind == SECATEUR_AFFINE || op->kind == SECATEUR_ACTIVATE)
    op->pack = weight, op->pack_bytes = weights * 4;
  if (reads_two(op->kind)) op->other = 2;
  if (chained) ops[1] = copy_behind(op);
  const secateur_op *last = &ops[chained];
  int64_t step = part ? size(op->out_layout, part, out) : 0;
  int64_t between_size = part ? step * threads : size(op->out_layout, batch, out);
  int64_t in_size = size(op->in_layout, batch, in), out_size = size(last->out_layout, batch, out);
  int64_t more = size(op->in_layout, batch, other_size(op));
  float *x = floats(in_size), *other = floats(more), *y = floats(out_size),
        *between = floats(between_size);
  int64_t bytes = secateur_scratch_bytes(ops, 1 + chained, threads);
  if (bytes < 0) die("scratch", op, batch, (int)-bytes);
  void *scratch = malloc(bytes);
  secateur_buffer buffers[] = {
      {x, in_size, 0}, {y, out_size, 0}, {other, more, 0}, {between, between_size, step}};
  secateur_task task = {ops, buffers, scratch, bytes, batch, part, 1 + chained, 4, threads, -1};
  int status = secateur_run(&task);
  if (status) die("run", op, batch, status);
  secateur_op seen = *op;
  seen.out_layout = last->out_layout;
  compare(&seen, x, other, weight, bias, y, batch);
  secateur_buffer *small = &buffers[chained ? 3 : 1];
  small->count--; /* too small by one */
  if (secateur_run(&task) != SECATEUR_SMALL_BUFFER) die("small buffer", op, batch, 0);
  small->count++;
  if (part && chained) {
    small->step--;
    if (secateur_run(&task) != SECATEUR_SMALL_BUFFER) die("small step", op, batch, 0);
    small->step++;
  }
  if (packed) damage(&task);
  free(x), free(other), free(y), free(between), free(weight), free(bias), free(blob), free(scratch);
}

/* ---- nonzeros -------------------------------------------------------------------------------------- */

/* Where plane, row, column and nonzero read, and where they write: in positions. */
static int64_t read_at(const secateur_nonzeros *nonzeros, int64_t nonzero, int64_t row,
                       int64_t column) {
  return nonzeros->indices[nonzero] + row * nonzeros->pitch + column;
}

static int64_t write_at(const secateur_nonzeros *nonzeros, int64_t plane, int64_t row,
                        int64_t column) {
  return (plane * nonzeros->height + row) * nonzeros->width + column;
}

static void die_at_nonzeros(const char *what, const secateur_nonzeros *nonzeros, int code) {
  printf("nonzeros: %s %d: isa %s planes %d height %d width %d pitch %d positions %d batch %d\n",
         what, code, secateur_isa(), (int)nonzeros->planes, (int)nonzeros->height,
         (int)nonzeros->width, (int)nonzeros->pitch, (int)nonzeros->positions,
         (int)nonzeros->batch);
  exit(1);
}

static int differs(double got, double want, double scale) {
  return !(fabs(got - want) <= 1e-4 * (1 + scale));
}

static void compare_product(const secateur_nonzeros *nonzeros, const float *value,
                            const float *bias, const float *x, const float *y) {
  for (int64_t plane = 0; plane < nonzeros->planes; plane++)
    for (int64_t row = 0; row < nonzeros->height; row++)
      for (int64_t column = 0; column < nonzeros->width; column++)
        for (int64_t image = 0; image < nonzeros->batch; image++) {
          double want = bias ? bias[plane] : 0;
          for (int64_t nonzero = nonzeros->indptr[plane]; nonzero < nonzeros->indptr[plane + 1];
               nonzero++)
            want += (double)value[nonzero] *
                    x[read_at(nonzeros, nonzero, row, column) * nonzeros->batch + image];
          double got = y[write_at(nonzeros, plane, row, column) * nonzeros->batch + image];
          if (differs(got, want, fabs(want))) die_at_nonzeros("product", nonzeros, (int)plane);
        }
}

static void compare_gradient(const secateur_nonzeros *nonzeros, const float *x, const float *outer,
                             const float *gradient) {
  for (int64_t plane = 0; plane < nonzeros->planes; plane++)
    for (int64_t nonzero = nonzeros->indptr[plane]; nonzero < nonzeros->indptr[plane + 1];
         nonzero++) {
      double want = 0, scale = 0;
      for (int64_t row = 0; row < nonzeros->height; row++)
        for (int64_t column = 0; column < nonzeros->width; column++)
          for (int64_t image = 0; image < nonzeros->batch; image++) {
            double factor = x[read_at(nonzeros, nonzero, row, column) * nonzeros->batch + image];
            factor *= outer[write_at(nonzeros, plane, row, column) * nonzeros->batch + image];
            want += factor, scale += fabs(factor) / 8;
          }
      if (differs(gradient[nonzero], want, scale))
        die_at_nonzeros("gradient", nonzeros, (int)nonzero);
    }
}

static int run_nonzeros(const secateur_nonzeros *nonzeros, float *value, const float *bias,
                        const secateur_buffer *x, const secateur_buffer *y, int threads,
                        int gradient) {
  return gradient ? secateur_nonzeros_gradient(nonzeros, x, y, value, threads)
                  : secateur_nonzeros_product(nonzeros, value, bias, x, y, threads);
}

/* Something that does not fit is refused, or harmless. */
static void damage_nonzeros(secateur_nonzeros *nonzeros, int64_t *indptr, int32_t *indices,
                            float *value, const secateur_buffer *x, const secateur_buffer *y) {
  int64_t *sizes[] = {&nonzeros->planes, &nonzeros->height,    &nonzeros->width,
                      &nonzeros->pitch,  &nonzeros->positions, &nonzeros->batch};
  int64_t bit = (int64_t)1 << pick(0, 62);
  int which = pick(0, 7);
  if (which < 6) {
    /* More planes than there are indptr is what the caller promised not to say. */
    if (which == 0) nonzeros->planes &= ~bit;
    else *sizes[which] ^= bit;
  } else if (which == 6) {
    int64_t *start =
        &indptr[pick(0, (int)nonzeros->planes - 1)]; /* the last one is a promise, too */
    *start ^= bit;
  } else if (indptr[nonzeros->planes]) {
    indices[pick(0, (int)indptr[nonzeros->planes] - 1)] ^= (int32_t)(1u << pick(0, 31));
  }
  for (int gradient = 0; gradient < 2; gradient++)
    run_nonzeros(nonzeros, value, NULL, x, y, 2, gradient);
}

static void nonzeros_round(void) {
  secateur_nonzeros nonzeros = {.planes = pick(1, 12), .height = pick(1, 6), .width = pick(1, 30)};
  nonzeros.pitch = nonzeros.width + pick(0, 3);
  int64_t span = (nonzeros.height - 1) * nonzeros.pitch + nonzeros.width;
  nonzeros.positions = span + pick(0, 40);
  nonzeros.batch = pick(1, 4) * secateur_lanes();
  int64_t *indptr = malloc((nonzeros.planes + 1) * sizeof *indptr);
  int max_nonzeros = pick(0, 1) ? 30 : 3;
  indptr[0] = 0;
  for (int64_t plane = 0; plane < nonzeros.planes; plane++)
    indptr[plane + 1] = indptr[plane] + pick(0, max_nonzeros);
  int64_t count = indptr[nonzeros.planes];
  int32_t *indices = malloc(count ? count * sizeof *indices : 1);
  for (int64_t i = 0; i < count; i++) indices[i] = pick(0, (int)(nonzeros.positions - span));
  nonzeros.indptr = indptr;
  nonzeros.indices = indices;
  int64_t in = nonzeros.positions * nonzeros.batch,
          out = nonzeros.planes * nonzeros.height * nonzeros.width * nonzeros.batch;
  float *x = floats(in), *outer = floats(out), *y = floats(out);
  float *value = floats(count), *gradient = floats(count);
  float *bias = pick(0, 1) ? floats(nonzeros.planes) : NULL;
  secateur_buffer input = {x, in, 0}, output = {y, out, 0}, outside = {outer, out, 0};
  int threads = pick(1, 3);
  int status = run_nonzeros(&nonzeros, value, bias, &input, &output, threads, 0);
  if (!status) status = run_nonzeros(&nonzeros, gradient, NULL, &input, &outside, threads, 1);
  if (status) die_at_nonzeros("status", &nonzeros, status);
  compare_product(&nonzeros, value, bias, x, y);
  compare_gradient(&nonzeros, x, outer, gradient);
  output.count--;
  for (int which = 0; which < 2; which++)
    if (run_nonzeros(&nonzeros, gradient, bias, &input, &output, threads, which) !=
        SECATEUR_SMALL_BUFFER)
      die_at_nonzeros("small buffer", &nonzeros, which);
  output.count++;
  damage_nonzeros(&nonzeros, indptr, indices, gradient, &input, &output);
  free(indptr), free(indices), free(x), free(outer), free(y), free(value), free(gradient),
      free(bias);
}

int main(int count, char **words) {
  const char *names[] = {"portable", "neon", "avx2", "avx512"};
  int rounds = count > 1 ? atoi(words[1]) : 100;
  state = count > 2 ? strtoull(words[2], NULL, 10) : 1;
  secateur_set_runtime(GOMP_parallel, omp_get_thread_num, omp_get_num_threads);
  for (int i = 0; i < 4; i++) {
    if (secateur_use_isa(names[i])) continue;
    for (int round = 0; round < rounds; round++) one_round(), nonzeros_round();
    printf("%s: %d rounds\n", names[i], rounds);
  }
  return 0;
}
