/* Running ops: check everything, cut the work into items, share them among the threads. */
#include <string.h>

#include "isa.h"

#if defined(SECATEUR_X86)
#include <xmmintrin.h>
#endif

#define ALIGNMENT 64
/* Cycles that a thread must have to do before it pays to wake it: some 4 microseconds' worth. */
#define WORTH_A_THREAD 12000

static struct {
  void (*parallel)(void (*)(void *), void *, unsigned, unsigned);
  void (*barrier)(void);
  int (*thread_num)(void);
  int (*num_threads)(void);
} runtime;

int32_t secateur_set_runtime(void (*parallel)(void (*)(void *), void *, unsigned, unsigned),
                             void (*barrier)(void), int (*thread_num)(void),
                             int (*num_threads)(void)) {
  int given = !!parallel + !!barrier + !!thread_num + !!num_threads;
  if (given != 0 && given != 4) return SECATEUR_BAD_ARGUMENT;
  runtime.parallel = parallel;
  runtime.barrier = barrier;
  runtime.thread_num = thread_num;
  runtime.num_threads = num_threads;
  return SECATEUR_OK;
}

/* ---- subnormals ------------------------------------------------------------------------------ */

#if defined(SECATEUR_X86)
static unsigned flush_subnormals(void) {
  unsigned before = _mm_getcsr();
  _mm_setcsr(before | 0x8040); /* flush to zero, denormals are zero */
  return before;
}
static void restore_mode(unsigned before) { _mm_setcsr(before); }
#elif defined(__aarch64__)
static uint64_t flush_subnormals(void) {
  uint64_t before;
  __asm__ volatile("mrs %0, fpcr" : "=r"(before));
  __asm__ volatile("msr fpcr, %0" ::"r"(before | (uint64_t)1 << 24));
  return before;
}
static void restore_mode(uint64_t before) { __asm__ volatile("msr fpcr, %0" ::"r"(before)); }
#else
static int flush_subnormals(void) { return 0; }
static void restore_mode(int before) { (void)before; }
#endif

/* ---- sizes ----------------------------------------------------------------------------------- */

static int64_t in_features(const secateur_shape *s) {
  return (int64_t)s->in_channels * s->in_height * s->in_width;
}

static int64_t out_features(const secateur_shape *s) {
  return (int64_t)s->out_channels * s->out_height * s->out_width;
}

static int64_t images_in(int32_t layout, int64_t batch, int32_t lanes) {
  return layout == SECATEUR_LANES ? round_up(batch, lanes) : batch;
}

static int has_pack(const secateur_op *op) {
  return op->kind == SECATEUR_LINEAR || op->kind == SECATEUR_CONV2D;
}

static int is_dot(const secateur_op *op) {
  return op->kind == SECATEUR_LINEAR &&
         ((const struct pack *)op->pack)->algorithm == SECATEUR_BY_IMAGE;
}

static int in_place_allowed(const secateur_op *op) {
  return op->kind == SECATEUR_RELU || op->kind == SECATEUR_ADD || op->kind == SECATEUR_AFFINE ||
         (op->kind == SECATEUR_COPY && op->in_layout == op->out_layout);
}

/* ---- checks: each op by itself, then with its buffers ---------------------------------------- */

static int shape_fits(const secateur_op *op) {
  const secateur_shape *s = &op->shape;
  if (!shape_is_sane(s)) return 0;
  switch (op->kind) {
    case SECATEUR_COPY:
    case SECATEUR_RELU:
    case SECATEUR_ADD:
    case SECATEUR_AFFINE:
      return s->in_channels == s->out_channels && s->in_height == s->out_height &&
             s->in_width == s->out_width;
    case SECATEUR_MAX_POOL:
    case SECATEUR_AVG_POOL:
      return s->in_channels == s->out_channels;
    case SECATEUR_GLOBAL_AVG_POOL:
      return s->in_channels == s->out_channels && s->out_height == 1 && s->out_width == 1;
    default:
      return 1;
  }
}

static int32_t check_op(const secateur_op *op, const struct isa *isa) {
  if (op->kind < SECATEUR_LINEAR || op->kind > SECATEUR_CALL || op->reserved != 0 ||
      op->in_layout < SECATEUR_PLAIN || op->in_layout > SECATEUR_LANES ||
      op->out_layout < SECATEUR_PLAIN || op->out_layout > SECATEUR_LANES || !shape_fits(op))
    return SECATEUR_BAD_ARGUMENT;
  if (op->kind == SECATEUR_CALL) return op->call ? SECATEUR_OK : SECATEUR_BAD_ARGUMENT;
  if (has_pack(op)) {
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
  return SECATEUR_OK;
}

static int overlap(const float *a, int64_t a_count, const float *b, int64_t b_count) {
  uintptr_t first = (uintptr_t)a, second = (uintptr_t)b;
  return first < second + b_count * sizeof *b && second < first + a_count * sizeof *a;
}

static int32_t check_buffers(const secateur_op *op, const secateur_buffer *buffers,
                             int32_t n_buffers, int64_t batch, int32_t lanes) {
  int two = op->kind == SECATEUR_ADD;
  if (op->input < 0 || op->input >= n_buffers || op->output < 0 || op->output >= n_buffers ||
      (two ? op->other < 0 || op->other >= n_buffers : op->other != -1))
    return SECATEUR_BAD_ARGUMENT;
  int64_t in_floats = images_in(op->in_layout, batch, lanes) * in_features(&op->shape);
  int64_t out_floats = images_in(op->out_layout, batch, lanes) * out_features(&op->shape);
  const secateur_buffer *in = &buffers[op->input], *out = &buffers[op->output];
  const secateur_buffer *other = two ? &buffers[op->other] : in;
  if (in->count < in_floats || other->count < in_floats || out->count < out_floats)
    return SECATEUR_SMALL_BUFFER;
  if (batch == 0) return SECATEUR_OK;
  if (!in->data || !other->data || !out->data || ((uintptr_t)in->data | (uintptr_t)out->data |
                                                  (uintptr_t)other->data) % sizeof(float))
    return SECATEUR_BAD_ARGUMENT;
  const secateur_buffer *read[] = {in, other};
  for (int i = 0; i < 2; i++)
    if (overlap(read[i]->data, in_floats, out->data, out_floats) &&
        !(in_place_allowed(op) && read[i]->data == out->data))
      return SECATEUR_BAD_ARGUMENT;
  return SECATEUR_OK;
}

/* ---- cutting up ------------------------------------------------------------------------------ */

static int64_t items_of(const secateur_op *op, int64_t batch, int32_t lanes) {
  const struct pack *pack = op->pack;
  int64_t features = in_features(&op->shape);
  if (has_pack(op))
    return (is_dot(op) ? batch : conv_units(pack, batch) * conv_supers(pack)) * pack->groups;
  switch (op->kind) {
    case SECATEUR_COPY:
    case SECATEUR_RELU:
    case SECATEUR_ADD:
      if (op->in_layout != op->out_layout)
        return ceil_div(batch, lanes) * ceil_div(features, CHUNK / lanes);
      return ceil_div(images_in(op->in_layout, batch, lanes) * features, CHUNK);
    default: {
      int64_t images = op->in_layout == SECATEUR_LANES ? ceil_div(batch, lanes) : batch;
      return images * op->shape.in_channels;
    }
  }
}

/* A guess at the cycles of the whole op. */
static int64_t work_of(const secateur_op *op, int64_t batch, int32_t lanes) {
  const struct pack *pack = op->pack;
  int64_t images = images_in(op->in_layout, batch, lanes);
  if (!has_pack(op)) {
    int64_t taps = (int64_t)op->shape.kernel_height * op->shape.kernel_width;
    return images * (in_features(&op->shape) + taps * out_features(&op->shape)) / 4;
  }
  if (is_dot(op)) return batch * (pack->nonzeros + 8 * (int64_t)pack->shape.out_channels);
  int64_t positions = (int64_t)pack->shape.out_height * pack->shape.out_width;
  int64_t vectors = ceil_div(positions * pack->width, lanes) * conv_units(pack, batch);
  return vectors * pack->nonzeros + images * in_features(&op->shape) / 4;
}

static int32_t threads_for(const secateur_op *op, int64_t batch, int32_t threads, int32_t lanes) {
  int64_t paying = 1 + work_of(op, batch, lanes) / WORTH_A_THREAD;
  return (int32_t)least(least(threads, paying), most(1, items_of(op, batch, lanes)));
}

static int64_t scratch_floats(const secateur_op *op, int32_t lanes) {
  if (!has_pack(op) || is_dot(op)) return 0;
  return conv_scratch_floats(op->pack, lanes);
}

static kernel kernel_of(const secateur_op *op, const struct isa *isa) {
  switch (op->kind) {
    case SECATEUR_LINEAR: return is_dot(op) ? isa->dot : isa->conv;
    case SECATEUR_CONV2D: return isa->conv;
    case SECATEUR_ADD: return isa->add;
    case SECATEUR_AFFINE: return isa->affine;
    case SECATEUR_MAX_POOL: return isa->max_pool;
    case SECATEUR_AVG_POOL: return isa->avg_pool;
    case SECATEUR_GLOBAL_AVG_POOL: return isa->global_avg_pool;
    default: return isa->copy;
  }
}

/* ---- running --------------------------------------------------------------------------------- */

struct region { /* ops without a CALL among them, run by one team of threads */
  const struct isa *isa;
  const secateur_op *ops;
  int32_t n_ops;
  const secateur_buffer *buffers;
  int64_t batch;
  int32_t threads;
  char *scratch;
  int64_t scratch_step; /* bytes from one thread's to the next one's */
};

static void run_region(void *data) {
  const struct region *region = data;
  int32_t count = 1, number = 0;
  if (region->threads > 1) { /* a nested region may get fewer threads than it asked for */
    count = runtime.num_threads();
    number = runtime.thread_num();
  }
  __typeof__(flush_subnormals()) mode = flush_subnormals();
  for (int32_t i = 0; i < region->n_ops; i++) {
    const secateur_op *op = &region->ops[i];
    int32_t lanes = region->isa->lanes;
    int32_t used = threads_for(op, region->batch, count, lanes);
    int64_t items = items_of(op, region->batch, lanes);
    if (number < used) {
      struct job job = {
          .op = op,
          .input = region->buffers[op->input].data,
          .other = op->kind == SECATEUR_ADD ? region->buffers[op->other].data : NULL,
          .output = region->buffers[op->output].data,
          .batch = region->batch,
      };
      kernel_of(op, region->isa)(&job, items * number / used, items * (number + 1) / used,
                                 (float *)(region->scratch + number * region->scratch_step));
    }
    if (count > 1 && i + 1 < region->n_ops) runtime.barrier();
  }
  restore_mode(mode);
}

static void start_region(struct region *region, int32_t threads) {
  int32_t used = 1;
  for (int32_t i = 0; i < region->n_ops; i++)
    used = (int32_t)most(
        used, threads_for(&region->ops[i], region->batch, threads, region->isa->lanes));
  region->threads = runtime.parallel ? used : 1;
  if (region->threads > 1) runtime.parallel(run_region, region, (unsigned)region->threads, 0);
  else run_region(region);
}

static int64_t scratch_step_of(const secateur_op *ops, int32_t n_ops, int32_t lanes) {
  int64_t floats = 0;
  for (int32_t i = 0; i < n_ops; i++) floats = most(floats, scratch_floats(&ops[i], lanes));
  return round_up(floats * sizeof(float), ALIGNMENT);
}

int64_t secateur_scratch_bytes(const secateur_op *ops, int32_t n_ops, int64_t batch,
                               int32_t threads) {
  const struct isa *isa = current_isa();
  if ((!ops && n_ops) || n_ops < 0 || batch < 0 || threads < 1) return -SECATEUR_BAD_ARGUMENT;
  for (int32_t i = 0; i < n_ops; i++) {
    int32_t status = check_op(&ops[i], isa);
    if (status) return -status;
  }
  return threads * scratch_step_of(ops, n_ops, isa->lanes) + ALIGNMENT;
}

static int32_t check_run(const secateur_op *ops, int32_t n_ops, const secateur_buffer *buffers,
                         int32_t n_buffers, int64_t batch, const struct isa *isa, int32_t *failed) {
  for (int32_t i = 0; i < n_ops; i++) {
    int32_t status = check_op(&ops[i], isa);
    if (!status) status = check_buffers(&ops[i], buffers, n_buffers, batch, isa->lanes);
    if (status) {
      *failed = i;
      return status;
    }
  }
  return SECATEUR_OK;
}

int32_t secateur_run(const secateur_op *ops, int32_t n_ops, const secateur_buffer *buffers,
                     int32_t n_buffers, void *scratch, int64_t scratch_bytes, int64_t batch,
                     int32_t threads, int32_t *failed) {
  const struct isa *isa = current_isa();
  int32_t ignored, *at = failed ? failed : &ignored;
  *at = -1;
  if ((!ops && n_ops) || n_ops < 0 || (!buffers && n_buffers) || n_buffers < 0 || batch < 0 ||
      batch > 1 << 24 || threads < 1)
    return SECATEUR_BAD_ARGUMENT;
  int32_t status = check_run(ops, n_ops, buffers, n_buffers, batch, isa, at);
  if (status || batch == 0) return status;
  int64_t step = scratch_step_of(ops, n_ops, isa->lanes);
  if (step && (!scratch || scratch_bytes < threads * step + ALIGNMENT)) return SECATEUR_SMALL_BUFFER;
  struct region region = {
      .isa = isa,
      .buffers = buffers,
      .batch = batch,
      .scratch = (char *)round_up((int64_t)(intptr_t)scratch, ALIGNMENT),
      .scratch_step = step,
  };
  for (int32_t i = 0; i < n_ops; i++) {
    if (ops[i].kind == SECATEUR_CALL) {
      *at = i;
      if (ops[i].call(ops[i].context, buffers[ops[i].input].data, buffers[ops[i].output].data,
                      batch))
        return SECATEUR_CALL_FAILED;
      continue;
    }
    region.ops = &ops[i];
    for (region.n_ops = 1; i + 1 < n_ops && ops[i + 1].kind != SECATEUR_CALL; i++) region.n_ops++;
    start_region(&region, threads);
  }
  *at = -1;
  return SECATEUR_OK;
}
