/* Running a task: share its ops, or its images, among the threads. */
#include "dispatch.h"
#include "check.h"
#include "op.h"
#include "threads.h"

/* Cycles that a thread must have to do before it pays to wake it: some 4 microseconds' worth. */
#define WORTH_A_THREAD 12000

struct region { /* a task on its way */
  const secateur_task *task;
  const struct isa *isa;
  char *scratch;
  int64_t scratch_step;
  _Atomic int64_t next; /* the first image that no thread has taken */
  struct barrier barrier;
  int32_t core; /* of the thread that called */
};

static float *scratch_of(const struct region *region, int32_t number) {
  return (float *)(region->scratch + number * region->scratch_step);
}

static float *data_of(const secateur_buffer *buffer, int32_t number, int64_t first,
                      int64_t features) {
  return buffer->data + (buffer->step ? number * buffer->step : first * features);
}

/* An op's job on `batch` images from `first` on, for the thread of this number. */
static struct job job_of(const struct region *region, const secateur_op *op, int32_t number,
                         int64_t first, int64_t batch) {
  const secateur_buffer *buffers = region->task->buffers;
  int64_t in = in_features(&op->shape), out = out_features(&op->shape);
  return (struct job){
      .op = op,
      .input = data_of(&buffers[op->input], number, first, in),
      .other =
          reads_two(op) ? data_of(&buffers[op->other], number, first, other_features(op)) : NULL,
      .output = data_of(&buffers[op->output], number, first, out),
      .batch = batch,
  };
}

/* ---- by part: no thread waits for another ---------------------------------------------------- */

static void take_parts(struct region *region, int32_t number) {
  const secateur_task *task = region->task;
  int64_t first;
  while ((first = atomic_fetch_add(&region->next, task->part)) < task->batch) {
    int64_t batch = min(task->part, task->batch - first);
    for (int32_t i = 0; i < task->n_ops; i++) {
      struct job job = job_of(region, &task->ops[i], number, first, batch);
      kernel_of(job.op, region->isa)(&job, 0, items_of(job.op, batch, region->isa->lanes),
                                     scratch_of(region, number));
    }
  }
}

static int32_t threads_for_parts(const struct region *region) {
  const secateur_task *task = region->task;
  int64_t work = 0;
  for (int32_t i = 0; i < task->n_ops; i++)
    work += work_of(&task->ops[i], task->batch, region->isa->lanes);
  int64_t paying = min(1 + work / WORTH_A_THREAD, ceil_div(task->batch, task->part));
  return (int32_t)min(task->threads, paying);
}

/* ---- by op ------------------------------------------------------------------------------------ */

static int32_t threads_for_op(const struct region *region, const secateur_op *op, int32_t threads) {
  int64_t batch = region->task->batch;
  int32_t lanes = region->isa->lanes;
  int64_t paying = 1 + work_of(op, batch, lanes) / WORTH_A_THREAD;
  return (int32_t)min(min(threads, paying), max(1, items_of(op, batch, lanes)));
}

static void share_ops(struct region *region, int32_t number, int32_t count) {
  const secateur_task *task = region->task;
  int32_t used = 1;
  for (int32_t i = 0; i < task->n_ops; i++) {
    const secateur_op *op = &task->ops[i];
    int32_t before = used;
    used = threads_for_op(region, op, count);
    /* What the first thread does alone, one op after another, nobody need wait for in between. */
    if (i > 0 && (before > 1 || used > 1)) barrier_wait(&region->barrier, count);
    if (number >= used) continue;
    struct job job = job_of(region, op, number, 0, task->batch);
    int64_t items = items_of(op, task->batch, region->isa->lanes);
    kernel_of(op, region->isa)(&job, items * number / used, items * (number + 1) / used,
                               scratch_of(region, number));
  }
}

static int32_t threads_for_ops(const struct region *region) {
  const secateur_task *task = region->task;
  int32_t used = 1;
  for (int32_t i = 0; i < task->n_ops; i++)
    used = (int32_t)max(used, threads_for_op(region, &task->ops[i], task->threads));
  return used;
}

/* ---- both ------------------------------------------------------------------------------------- */

static void run_thread(struct region *region, int32_t number, int32_t count) {
  float_mode mode = flush_subnormals();
  if (region->task->part) take_parts(region, number);
  else share_ops(region, number, count);
  restore_mode(mode);
}

static void run_member(void *data) {
  struct region *region = data;
  int32_t number = threads_number(), count = threads_size();
  if (number > 0) threads_leave_core(region->core, count);
  run_thread(region, number, count);
}

int64_t secateur_scratch_bytes(const secateur_op *ops, int32_t n_ops, int32_t threads) {
  const struct isa *isa = current_isa();
  if ((!ops && n_ops) || n_ops < 0 || threads < 1) return -SECATEUR_BAD_ARGUMENT;
  for (int32_t i = 0; i < n_ops; i++) {
    int32_t status = check_op(&ops[i], isa);
    if (status) return -status;
  }
  return threads * scratch_step(ops, n_ops, isa->lanes) + ALIGNMENT;
}

int32_t secateur_run(secateur_task *task) {
  const struct isa *isa = current_isa();
  if (!task) return SECATEUR_BAD_ARGUMENT;
  int32_t status = check_task(task, isa);
  if (status || task->batch == 0) return status;
  struct region region = {
      .task = task,
      .isa = isa,
      .scratch = (char *)round_up((int64_t)(intptr_t)task->scratch, ALIGNMENT),
      .scratch_step = scratch_step(task->ops, task->n_ops, isa->lanes),
  };
  int32_t threads = task->part ? threads_for_parts(&region) : threads_for_ops(&region);
  threads = threads_limit(threads);
  if (threads == 1) {
    run_thread(&region, 0, 1);
    return SECATEUR_OK;
  }
  region.core = threads_core();
  barrier_init(&region.barrier);
  threads_run(run_member, &region, threads);
  barrier_destroy(&region.barrier);
  return SECATEUR_OK;
}
