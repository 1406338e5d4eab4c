/* Nonzeros: check everything, share the work among the threads. */
#include "dispatch.h"
#include "isa.h"
#include "threads.h"

/* As in run.c: cycles that a thread must have to do before it pays to wake it. */
#define WORTH_A_THREAD 12000
/* Rows are shared out by their tiles if each thread gets so many, else the planes are. */
#define TILES_A_THREAD 4
#define MAX_FLOATS ((int64_t)1 << 40)

struct threads_work {
  const struct isa *isa;
  struct nonzeros_share whole;
  int by_tile, is_gradient;
  int32_t core; /* of the thread that called */
};

/* ---- checks ------------------------------------------------------------------------------------ */

static int sizes_fit(const secateur_nonzeros *nonzeros, int32_t lanes) {
  return is_size(nonzeros->planes) && is_size(nonzeros->height) && is_size(nonzeros->width) &&
         is_size(nonzeros->pitch) && is_size(nonzeros->batch) && nonzeros->positions >= 1 &&
         nonzeros->positions <= INT32_MAX && nonzeros->batch % lanes == 0 &&
         nonzeros->positions <= MAX_FLOATS / nonzeros->batch &&
         nonzeros->height <= MAX_FLOATS / nonzeros->batch / nonzeros->width / nonzeros->planes &&
         nonzeros->indptr && nonzeros->indptr[0] == 0;
}

/* Every input that a nonzero reads lies in the input. The greatest index as an unsigned number, so that
 * a negative one is too great; the loop becomes vectors. */
static int indices_fit(const secateur_nonzeros *nonzeros) {
  for (int64_t plane = 0; plane < nonzeros->planes; plane++)
    if (nonzeros->indptr[plane] > nonzeros->indptr[plane + 1]) return 0;
  int64_t count = nonzeros->indptr[nonzeros->planes];
  if (count == 0) return 1;
  if (count > MAX_FLOATS || !nonzeros->indices) return 0;
  uint32_t greatest = 0;
  for (int64_t i = 0; i < count; i++) {
    uint32_t index = (uint32_t)nonzeros->indices[i];
    greatest = index > greatest ? index : greatest;
  }
  return greatest + (nonzeros->height - 1) * nonzeros->pitch + nonzeros->width <=
         nonzeros->positions;
}

static int holds(const secateur_buffer *buffer, int64_t floats) {
  return buffer && buffer->count >= floats;
}

static int is_there(const secateur_buffer *buffer) {
  return buffer->data && (uintptr_t)buffer->data % sizeof(float) == 0;
}

static int32_t check_nonzeros(const secateur_nonzeros *nonzeros, const secateur_buffer *input,
                              const secateur_buffer *output, int32_t threads, int32_t lanes) {
  if (!nonzeros || !input || !output || threads < 1 || !sizes_fit(nonzeros, lanes) ||
      !indices_fit(nonzeros))
    return SECATEUR_BAD_ARGUMENT;
  int64_t in_floats = nonzeros->positions * nonzeros->batch;
  int64_t out_floats = nonzeros->planes * nonzeros->height * nonzeros->width * nonzeros->batch;
  if (!holds(input, in_floats) || !holds(output, out_floats)) return SECATEUR_SMALL_BUFFER;
  if (!is_there(input) || !is_there(output)) return SECATEUR_BAD_ARGUMENT;
  uintptr_t in = (uintptr_t)input->data, out = (uintptr_t)output->data;
  int apart = in + in_floats * sizeof(float) <= out || out + out_floats * sizeof(float) <= in;
  return apart ? SECATEUR_OK : SECATEUR_BAD_ARGUMENT;
}

/* ---- sharing ----------------------------------------------------------------------------------- */

/* Rows with nothing between them, in the input too, are one row. */
static secateur_nonzeros merge_rows(const secateur_nonzeros *nonzeros) {
  secateur_nonzeros merged = *nonzeros;
  if (nonzeros->pitch == nonzeros->width || nonzeros->height == 1) {
    merged.width *= merged.height;
    merged.height = 1;
  }
  return merged;
}

static int64_t tiles_of(const secateur_nonzeros *nonzeros, const struct isa *isa) {
  return nonzeros->height * ceil_div(nonzeros->width * nonzeros->batch / isa->lanes, isa->max_tile);
}

/* The plane at which the nonzeros so far pass a thread's share; each plane counts a little by itself. */
static int64_t cut_planes(const secateur_nonzeros *nonzeros, int64_t number, int64_t count) {
  int64_t own = 4, all = nonzeros->indptr[nonzeros->planes] + own * nonzeros->planes;
  int64_t low = 0, high = nonzeros->planes;
  while (low < high) {
    int64_t middle = (low + high) / 2;
    if ((nonzeros->indptr[middle] + own * middle) * count < all * number) low = middle + 1;
    else high = middle;
  }
  return low;
}

static void run_share(const struct threads_work *work, int64_t number, int64_t count) {
  struct nonzeros_share share = work->whole;
  if (work->by_tile) {
    int64_t tiles = tiles_of(share.nonzeros, work->isa);
    share.first_tile = tiles * number / count;
    share.last_tile = tiles * (number + 1) / count;
  } else {
    share.first_plane = cut_planes(share.nonzeros, number, count);
    share.last_plane = cut_planes(share.nonzeros, number + 1, count);
  }
  float_mode mode = flush_subnormals();
  if (work->is_gradient) work->isa->nonzeros_gradient(&share);
  else work->isa->nonzeros_product(&share);
  restore_mode(mode);
}

static void run_member(void *data) {
  struct threads_work *work = data;
  int32_t number = threads_number(), count = threads_size();
  if (number > 0) threads_leave_core(work->core, count);
  run_share(work, number, count);
}

static void run_on_threads(struct threads_work *work, int32_t threads) {
  const secateur_nonzeros *nonzeros = work->whole.nonzeros;
  int64_t vectors = nonzeros->height * (nonzeros->width * nonzeros->batch / work->isa->lanes);
  int64_t cycles = vectors * (nonzeros->indptr[nonzeros->planes] + nonzeros->planes);
  int32_t used = threads_limit((int32_t)min(threads, 1 + cycles / WORTH_A_THREAD));
  work->whole.last_plane = nonzeros->planes;
  work->whole.last_tile = tiles_of(nonzeros, work->isa);
  work->by_tile = !work->is_gradient && work->whole.last_tile >= (int64_t)used * TILES_A_THREAD;
  work->core = threads_core();
  if (used > 1) threads_run(run_member, work, used);
  else run_share(work, 0, 1);
}

/* ---- the interface ------------------------------------------------------------------------------ */

int32_t secateur_nonzeros_product(const secateur_nonzeros *nonzeros, const float *values,
                                  const float *bias, const secateur_buffer *input,
                                  const secateur_buffer *output, int32_t threads) {
  const struct isa *isa = current_isa();
  int32_t status = check_nonzeros(nonzeros, input, output, threads, isa->lanes);
  if (status) return status;
  if (nonzeros->indptr[nonzeros->planes] && !values) return SECATEUR_BAD_ARGUMENT;
  secateur_nonzeros merged = merge_rows(nonzeros);
  struct threads_work work = {
      .isa = isa,
      .whole = {.nonzeros = &merged,
                .values = values,
                .bias = bias,
                .input = input->data,
                .output = output->data},
  };
  run_on_threads(&work, threads);
  return SECATEUR_OK;
}

int32_t secateur_nonzeros_gradient(const secateur_nonzeros *nonzeros, const secateur_buffer *input,
                                   const secateur_buffer *outer, float *gradient, int32_t threads) {
  const struct isa *isa = current_isa();
  int32_t status = check_nonzeros(nonzeros, input, outer, threads, isa->lanes);
  if (status) return status;
  if (nonzeros->indptr[nonzeros->planes] == 0) return SECATEUR_OK;
  if (!gradient) return SECATEUR_BAD_ARGUMENT;
  secateur_nonzeros merged = merge_rows(nonzeros);
  struct threads_work work = {
      .isa = isa,
      .is_gradient = 1,
      .whole = {.nonzeros = &merged,
                .input = input->data,
                .outer = outer->data,
                .gradient = gradient},
  };
  run_on_threads(&work, threads);
  return SECATEUR_OK;
}
