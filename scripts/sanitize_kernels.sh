#!/usr/bin/env bash
# The kernels under AddressSanitizer and UndefinedBehaviorSanitizer: random ops, every instruction
# set that runs here, AVX-512's out of pairs of AVX2 registers.
#   scripts/sanitize_kernels.sh [ROUNDS] [SEED]
# With VALGRIND=1 without the sanitizers, under valgrind instead (slow: some dozen rounds).
# With ARM=1 without them, cross-compiled for aarch64 and run by qemu: the NEON kernels.
# (Debian: apt install gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user)
set -euo pipefail
cd "$(dirname "$0")/.."
rounds=${1:-1500} seed=${2:-1}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
native=src/secateur/native
flags=(-std=gnu11 -O1 -g -ffp-contract=fast -Wall -Wextra -fopenmp -I"$native")
cc=${CC:-cc} machine=$(uname -m)
if [ -n "${ARM:-}" ]; then
  cc=aarch64-linux-gnu-gcc machine=aarch64
elif [ -z "${VALGRIND:-}" ]; then
  flags+=(-fsanitize=address,undefined -fno-sanitize-recover=all)
fi
sources=(tests/native/fuzz.c)
for source in "$native"/*.c; do
  [ "$source" = "$native/isa.c" ] || sources+=("$source")
done
if [ "$machine" = x86_64 ]; then
  flags+=(-DSECATEUR_X86 -DSECATEUR_AVX512_ON_AVX2 -Wno-psabi)
  $cc "${flags[@]}" -mavx2 -mfma -DSECATEUR_BUILD_AVX2 -c "$native/isa.c" -o "$work/avx2.o"
  $cc "${flags[@]}" -mavx2 -mfma -DSECATEUR_BUILD_AVX512 -c "$native/isa.c" -o "$work/avx512.o"
fi
$cc "${flags[@]}" -c "$native/isa.c" -o "$work/base.o"
$cc "${flags[@]}" "${sources[@]}" "$work"/*.o -lm -o "$work/fuzz"
if [ -n "${VALGRIND:-}" ]; then
  valgrind --quiet --error-exitcode=9 "$work/fuzz" "$rounds" "$seed"
elif [ -n "${ARM:-}" ]; then
  qemu-aarch64 -L /usr/aarch64-linux-gnu "$work/fuzz" "$rounds" "$seed"
else
  # libgomp keeps its threads: what they hold at the end is no leak of ours.
  ASAN_OPTIONS=detect_leaks=0 UBSAN_OPTIONS=print_stacktrace=1 "$work/fuzz" "$rounds" "$seed"
fi
