/* Which instruction set: the best that the CPU has and the system saves, unless one is forced. */
#include <string.h>

#include "dispatch.h"
#include "isa.h"

static const struct isa *forced;

#if defined(SECATEUR_X86)
/* These builtins also ask whether the operating system saves the registers. */
static int has_avx2(void) {
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}
static int has_avx512(void) {
#if defined(                                                                                       \
    SECATEUR_AVX512_ON_AVX2) /* a test build: the wide kernels out of pairs of AVX2 registers */
  return has_avx2();
#else
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
         __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw");
#endif
}
#endif

static const struct isa *isa_of(const char *name) {
#if defined(SECATEUR_X86)
  __builtin_cpu_init();
  if (!strcmp(name, "avx512")) return has_avx512() ? &secateur_avx512 : NULL;
  if (!strcmp(name, "avx2")) return has_avx2() ? &secateur_avx2 : NULL;
#endif
  return strcmp(name, secateur_portable.name) ? NULL : &secateur_portable;
}

const struct isa *current_isa(void) {
  if (forced) return forced;
  const struct isa *isa = NULL;
#if defined(SECATEUR_X86)
#if !defined(SECATEUR_AVX512_ON_AVX2)
  isa = isa_of("avx512");
#endif
  if (!isa) isa = isa_of("avx2");
#endif
  return isa ? isa : &secateur_portable;
}

int32_t secateur_abi(void) { return SECATEUR_ABI; }

const char *secateur_isa(void) { return current_isa()->name; }

int32_t secateur_has_isa(const char *name) { return name && isa_of(name) != NULL; }

int32_t secateur_use_isa(const char *name) {
  const struct isa *isa = name ? isa_of(name) : NULL;
  if (!isa) return SECATEUR_BAD_ARGUMENT;
  forced = isa;
  return SECATEUR_OK;
}

int32_t secateur_lanes(void) { return current_isa()->lanes; }
