#!/usr/bin/env bash
# The kernels under AddressSanitizer and UndefinedBehaviorSanitizer: random ops, every instruction
# set that runs here; AVX-512's out of pairs of AVX2 registers where the CPU, or valgrind, has none.
#   scripts/sanitize_kernels.sh [ROUNDS] [SEED]
# With VALGRIND=1 without the sanitizers, under valgrind instead (slow: some dozen rounds).
# With ARM=1 without them, cross-compiled for aarch64 and run by qemu: the NEON kernels.
# (Debian: apt install gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user)
set -euo pipefail
cd "$(dirname "$0")/.."
rounds=${1:-1500} seed=${2:-1}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
kernels=src/secateur/runtime/kernels
flags=(-std=gnu11 -O1 -g -ffp-contract=fast -Wall -Wextra -Werror -fopenmp -I"$kernels")
cc=${CC:-cc} machine=$(uname -m)
has() { # whether the CPU has all of these
  for flag; do grep -qm1 "^flags.* $flag\( \|\$\)" /proc/cpuinfo 2>/dev/null || return 1; done
}
if [ -n "${ARM:-}" ]; then
  cc=aarch64-linux-gnu-gcc machine=aarch64
elif [ -z "${VALGRIND:-}" ]; then
  flags+=(-fsanitize=address,undefined -fno-sanitize-recover=all)
fi
sources=(tests/runtime/kernels/fuzz.c)
for source in "$kernels"/*.c; do
  [ "$source" = "$kernels/isa.c" ] || sources+=("$source")
done
if [ "$machine" = x86_64 ]; then
  flags+=(-DSECATEUR_X86)
  wide=(-mavx512f -mavx512vl -mavx512dq -mavx512bw)
  if [ -n "${VALGRIND:-}" ] || ! has avx512f avx512vl avx512dq avx512bw; then
    flags+=(-DSECATEUR_AVX512_ON_AVX2 -Wno-psabi)
    wide=(-mavx2 -mfma)
  fi
  $cc "${flags[@]}" -mavx2 -mfma -DSECATEUR_BUILD_AVX2 -c "$kernels/isa.c" -o "$work/avx2.o"
  $cc "${flags[@]}" "${wide[@]}" -DSECATEUR_BUILD_AVX512 -c "$kernels/isa.c" -o "$work/avx512.o"
fi
$cc "${flags[@]}" -c "$kernels/isa.c" -o "$work/base.o"
$cc "${flags[@]}" "${sources[@]}" "$work"/*.o -lm -o "$work/fuzz"
if [ -n "${VALGRIND:-}" ]; then
  valgrind --quiet --error-exitcode=9 "$work/fuzz" "$rounds" "$seed"
elif [ -n "${ARM:-}" ]; then
  qemu-aarch64 -L /usr/aarch64-linux-gnu "$work/fuzz" "$rounds" "$seed"
else
  # libgomp keeps its threads: what they hold at the end is no leak of ours.
  ASAN_OPTIONS=detect_leaks=0 UBSAN_OPTIONS=print_stacktrace=1 "$work/fuzz" "$rounds" "$seed"
fi
