/* The OpenMP runtime that was handed over, under names of our own. */
#include "team.h"

#include "secateur.h"

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

int32_t team_limit(int32_t threads) { return runtime.parallel ? threads : 1; }

void team_run(void (*function)(void *), void *data, int32_t threads) {
  runtime.parallel(function, data, (unsigned)threads, 0);
}

int32_t team_number(void) { return runtime.thread_num(); }

int32_t team_size(void) { return runtime.num_threads(); }

void team_barrier(void) { runtime.barrier(); }
