/* Taps: check everything, share the work among the threads. */
#include "isa.h"
#include "threads.h"

/* As in run.c: cycles that a thread must have to do before it pays to wake it. */
#define WORTH_A_THREAD 12000
/* Rows are shared out by their tiles if each thread gets so many, else the planes are. */
#define TILES_A_THREAD 4
#define MOST_FLOATS ((int64_t)1 << 40)

struct team_work {
  const struct isa *isa;
  struct taps_share whole;
  int by_tile, is_gradient;
  int32_t core; /* of the thread that called */
};

/* ---- checks ------------------------------------------------------------------------------------ */

static int sizes_fit(const secateur_taps *taps, int32_t lanes) {
  return is_size(taps->planes) && is_size(taps->height) && is_size(taps->width) &&
         is_size(taps->pitch) && is_size(taps->batch) && taps->positions >= 1 &&
         taps->positions <= INT32_MAX &&
         taps->batch % lanes == 0 && taps->positions <= MOST_FLOATS / taps->batch &&
         taps->height <= MOST_FLOATS / taps->batch / taps->width / taps->planes &&
         taps->starts && taps->starts[0] == 0;
}

/* Every input that a tap reads lies in the input. The greatest index as an unsigned number, so that
 * a negative one is too great; the loop becomes vectors. */
static int indices_fit(const secateur_taps *taps) {
  for (int64_t plane = 0; plane < taps->planes; plane++)
    if (taps->starts[plane] > taps->starts[plane + 1]) return 0;
  int64_t count = taps->starts[taps->planes];
  if (count == 0) return 1;
  if (count > MOST_FLOATS || !taps->index) return 0;
  uint32_t greatest = 0;
  for (int64_t i = 0; i < count; i++) {
    uint32_t index = (uint32_t)taps->index[i];
    greatest = index > greatest ? index : greatest;
  }
  return greatest + (taps->height - 1) * taps->pitch + taps->width <= taps->positions;
}

static int holds(const secateur_buffer *buffer, int64_t floats) {
  return buffer && buffer->count >= floats;
}

static int is_there(const secateur_buffer *buffer) {
  return buffer->data && (uintptr_t)buffer->data % sizeof(float) == 0;
}

static int32_t check_taps(const secateur_taps *taps, const secateur_buffer *input,
                          const secateur_buffer *output, int32_t threads, int32_t lanes) {
  if (!taps || !input || !output || threads < 1 || !sizes_fit(taps, lanes) || !indices_fit(taps))
    return SECATEUR_BAD_ARGUMENT;
  int64_t in_floats = taps->positions * taps->batch;
  int64_t out_floats = taps->planes * taps->height * taps->width * taps->batch;
  if (!holds(input, in_floats) || !holds(output, out_floats)) return SECATEUR_SMALL_BUFFER;
  if (!is_there(input) || !is_there(output)) return SECATEUR_BAD_ARGUMENT;
  uintptr_t in = (uintptr_t)input->data, out = (uintptr_t)output->data;
  int apart = in + in_floats * sizeof(float) <= out || out + out_floats * sizeof(float) <= in;
  return apart ? SECATEUR_OK : SECATEUR_BAD_ARGUMENT;
}

/* ---- sharing ----------------------------------------------------------------------------------- */

/* Rows with nothing between them, in the input too, are one row. */
static secateur_taps merge_rows(const secateur_taps *taps) {
  secateur_taps merged = *taps;
  if (taps->pitch == taps->width || taps->height == 1) {
    merged.width *= merged.height;
    merged.height = 1;
  }
  return merged;
}

static int64_t tiles_of(const secateur_taps *taps, const struct isa *isa) {
  return taps->height * ceil_div(taps->width * taps->batch / isa->lanes, isa->max_tile);
}

/* The plane at which the taps so far pass a thread's share; each plane counts a little by itself. */
static int64_t cut_planes(const secateur_taps *taps, int64_t number, int64_t count) {
  int64_t own = 4, all = taps->starts[taps->planes] + own * taps->planes;
  int64_t low = 0, high = taps->planes;
  while (low < high) {
    int64_t middle = (low + high) / 2;
    if ((taps->starts[middle] + own * middle) * count < all * number) low = middle + 1;
    else high = middle;
  }
  return low;
}

static void run_share(const struct team_work *work, int64_t number, int64_t count) {
  struct taps_share share = work->whole;
  if (work->by_tile) {
    int64_t tiles = tiles_of(share.taps, work->isa);
    share.first_tile = tiles * number / count;
    share.last_tile = tiles * (number + 1) / count;
  } else {
    share.first_plane = cut_planes(share.taps, number, count);
    share.last_plane = cut_planes(share.taps, number + 1, count);
  }
  float_mode mode = flush_subnormals();
  if (work->is_gradient) work->isa->taps_gradient(&share);
  else work->isa->taps_product(&share);
  restore_mode(mode);
}

static void run_member(void *data) {
  struct team_work *work = data;
  int32_t number = team_number(), count = team_size();
  if (number > 0) team_leave_core(work->core, count);
  run_share(work, number, count);
}

static void run_team(struct team_work *work, int32_t threads) {
  const secateur_taps *taps = work->whole.taps;
  int64_t vectors = taps->height * (taps->width * taps->batch / work->isa->lanes);
  int64_t cycles = vectors * (taps->starts[taps->planes] + taps->planes);
  int32_t used = team_limit((int32_t)least(threads, 1 + cycles / WORTH_A_THREAD));
  work->whole.last_plane = taps->planes;
  work->whole.last_tile = tiles_of(taps, work->isa);
  work->by_tile =
      !work->is_gradient && work->whole.last_tile >= (int64_t)used * TILES_A_THREAD;
  work->core = team_core();
  if (used > 1) team_run(run_member, work, used);
  else run_share(work, 0, 1);
}

/* ---- the interface ------------------------------------------------------------------------------ */

int32_t secateur_taps_product(const secateur_taps *taps, const float *value, const float *bias,
                              const secateur_buffer *input, const secateur_buffer *output,
                              int32_t threads) {
  const struct isa *isa = current_isa();
  int32_t status = check_taps(taps, input, output, threads, isa->lanes);
  if (status) return status;
  if (taps->starts[taps->planes] && !value) return SECATEUR_BAD_ARGUMENT;
  secateur_taps merged = merge_rows(taps);
  struct team_work work = {
      .isa = isa,
      .whole = {.taps = &merged,
                .value = value,
                .bias = bias,
                .input = input->data,
                .output = output->data},
  };
  run_team(&work, threads);
  return SECATEUR_OK;
}

int32_t secateur_taps_gradient(const secateur_taps *taps, const secateur_buffer *input,
                               const secateur_buffer *outer, float *gradient, int32_t threads) {
  const struct isa *isa = current_isa();
  int32_t status = check_taps(taps, input, outer, threads, isa->lanes);
  if (status) return status;
  if (taps->starts[taps->planes] == 0) return SECATEUR_OK;
  if (!gradient) return SECATEUR_BAD_ARGUMENT;
  secateur_taps merged = merge_rows(taps);
  struct team_work work = {
      .isa = isa,
      .is_gradient = 1,
      .whole = {.taps = &merged, .input = input->data, .outer = outer->data, .gradient = gradient},
  };
  run_team(&work, threads);
  return SECATEUR_OK;
}
