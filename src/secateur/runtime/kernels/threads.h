/* The threads: torch's OpenMP runtime, or the calling thread alone. Internal. */
#ifndef SECATEUR_THREADS_H
#define SECATEUR_THREADS_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

#if defined(SECATEUR_X86)
#include <xmmintrin.h>
#endif

/* 1 where no runtime has been handed over. */
int32_t threads_limit(int32_t threads);

/* `function(data)` on each of up to so many threads; returns when all have. A nested group of threads may get
 * fewer than it asked for: `threads_size` says how many within. */
void threads_run(void (*function)(void *), void *data, int32_t threads);
int32_t threads_number(void);
int32_t threads_size(void);

/* The core that the calling thread is on; -1 if that is not known. */
int32_t threads_core(void);

/* To be called by a member that is to work beside a thread on that core: if it is on the same one, it
 * moves to another that it may use. Linux wakes a thread on the core where it last was, or on the
 * waker's, and on a machine of few cores looks no further, whatever is idle: two members that have once
 * come together stay so, and take turns at the scheduler's tick, every 4 ms. */
void threads_leave_core(int32_t core, int32_t members);

/* Where the members of a group of threads wait for one another. */
struct barrier {
  pthread_mutex_t lock;
  pthread_cond_t moved;
  _Atomic int32_t arrived, round;
};
void barrier_init(struct barrier *barrier);
void barrier_destroy(struct barrier *barrier);
void barrier_wait(struct barrier *barrier, int32_t members);

/* Subnormal numbers taken for zero, in this thread, until the mode is restored. */
#if defined(SECATEUR_X86)
typedef unsigned float_mode;
static inline float_mode flush_subnormals(void) {
  float_mode before = _mm_getcsr();
  _mm_setcsr(before | 0x8040); /* flush to zero, denormals are zero */
  return before;
}
static inline void restore_mode(float_mode before) { _mm_setcsr(before); }
#elif defined(__aarch64__)
typedef uint64_t float_mode;
static inline float_mode flush_subnormals(void) {
  float_mode before;
  __asm__ volatile("mrs %0, fpcr" : "=r"(before));
  __asm__ volatile("msr fpcr, %0" ::"r"(before | (uint64_t)1 << 24));
  return before;
}
static inline void restore_mode(float_mode before) {
  __asm__ volatile("msr fpcr, %0" ::"r"(before));
}
#else
typedef int float_mode;
static inline float_mode flush_subnormals(void) { return 0; }
static inline void restore_mode(float_mode before) { (void)before; }
#endif

#endif
