/* The threads: torch's OpenMP runtime, or the calling thread alone. Internal. */
#ifndef SECATEUR_TEAM_H
#define SECATEUR_TEAM_H

#include <stdatomic.h>
#include <stdint.h>

#if defined(SECATEUR_X86)
#include <xmmintrin.h>
#endif

/* 1 where no runtime has been handed over. */
int32_t team_limit(int32_t threads);

/* `function(data)` on each of up to so many threads; returns when all have. A nested team may get
 * fewer than it asked for: `team_size` says how many within. */
void team_run(void (*function)(void *), void *data, int32_t threads);
int32_t team_number(void);
int32_t team_size(void);

/* Where the members of a team wait for one another. All zero before the first wait. */
struct barrier {
  _Atomic int32_t arrived, round;
};
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
