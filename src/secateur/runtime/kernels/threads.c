/* The OpenMP runtime that was handed over, under names of our own. */
#if defined(__linux__)
#define _GNU_SOURCE
#include <sched.h>
#endif

#include "secateur.h"
#include "threads.h"

/* A quarter of a millisecond. */
#define SPINS 20000

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

int32_t threads_limit(int32_t threads) { return runtime.parallel ? threads : 1; }

void threads_run(void (*function)(void *), void *data, int32_t threads) {
  runtime.parallel(function, data, (unsigned)threads, 0);
}

int32_t threads_number(void) { return runtime.thread_num(); }

int32_t threads_size(void) { return runtime.num_threads(); }

#if defined(__linux__)
int32_t threads_core(void) { return sched_getcpu(); }

void threads_leave_core(int32_t core, int32_t members) {
  cpu_set_t all, others;
  if (core < 0 || sched_getcpu() != core || sched_getaffinity(0, sizeof all, &all)) return;
  others = all;
  CPU_CLR(core, &others);
  if (CPU_COUNT(&all) < members || sched_setaffinity(0, sizeof others, &others)) return;
  sched_setaffinity(0, sizeof all, &all);
}
#else
int32_t threads_core(void) { return -1; }
void threads_leave_core(int32_t core, int32_t members) { (void)core, (void)members; }
#endif

void barrier_init(struct barrier *barrier) {
  pthread_mutex_init(&barrier->lock, NULL);
  pthread_cond_init(&barrier->moved, NULL);
  atomic_init(&barrier->arrived, 0);
  atomic_init(&barrier->round, 0);
}

void barrier_destroy(struct barrier *barrier) {
  pthread_cond_destroy(&barrier->moved);
  pthread_mutex_destroy(&barrier->lock);
}

/* The runtime's own barrier keeps its core while it waits, for milliseconds. Where the system has put
 * two members on one core, as it does when others use the rest, each wait lasts until the scheduler's
 * next tick: 40 ms, measured, for a net of eight layers that takes 0.1. So this one spins for about as
 * long as two members are apart after an even share of the work, then sleeps. Not sched_yield: since
 * Linux 6.18 each call pushes the caller behind all others by a whole slice. Not sooner: in a virtual
 * machine a core that sleeps is not taken for idle, and who is woken lands on the waker's. */
void barrier_wait(struct barrier *barrier, int32_t members) {
  int32_t round = atomic_load(&barrier->round);
  if (atomic_fetch_add(&barrier->arrived, 1) + 1 == members) {
    atomic_store(&barrier->arrived, 0);
    pthread_mutex_lock(&barrier->lock);
    atomic_store(&barrier->round, round + 1);
    pthread_cond_broadcast(&barrier->moved);
    pthread_mutex_unlock(&barrier->lock);
    return;
  }
  for (int32_t turns = 0; turns < SPINS; turns++) {
    if (atomic_load(&barrier->round) != round) return;
    pause_core();
  }
  pthread_mutex_lock(&barrier->lock);
  while (atomic_load(&barrier->round) == round) pthread_cond_wait(&barrier->moved, &barrier->lock);
  pthread_mutex_unlock(&barrier->lock);
}
