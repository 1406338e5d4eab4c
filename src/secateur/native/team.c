/* The OpenMP runtime that was handed over, under names of our own. */
#include "team.h"

#include <sched.h>

#include "secateur.h"

/* Some 10 microseconds. */
#define SPINS 500

static inline void pause_core(void) {
#if defined(SECATEUR_X86)
  _mm_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}

static struct {
  void (*parallel)(void (*)(void *), void *, unsigned, unsigned);
  int (*thread_num)(void);
  int (*num_threads)(void);
} runtime;

int32_t secateur_set_runtime(void (*parallel)(void (*)(void *), void *, unsigned, unsigned),
                             int (*thread_num)(void), int (*num_threads)(void)) {
  int given = !!parallel + !!thread_num + !!num_threads;
  if (given != 0 && given != 3) return SECATEUR_BAD_ARGUMENT;
  runtime.parallel = parallel;
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

/* The runtime's own barrier keeps its core while it waits, for milliseconds. Where the system has put
 * two members on one core, as it does when others use the rest, each wait would last until the
 * scheduler's next tick: 40 ms, measured, for a net of eight layers that takes 0.1. So this one spins
 * for about as long as two members are apart after an even share of the work, then gives way. */
void barrier_wait(struct barrier *barrier, int32_t members) {
  int32_t round = atomic_load(&barrier->round);
  if (atomic_fetch_add(&barrier->arrived, 1) + 1 == members) {
    atomic_store(&barrier->arrived, 0);
    atomic_store(&barrier->round, round + 1);
    return;
  }
  for (int32_t turns = 0; atomic_load(&barrier->round) == round; turns++) {
    if (turns < SPINS) pause_core();
    else sched_yield();
  }
}
