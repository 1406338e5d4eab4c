/* Runs a network that `secateur package` wrote, without Python:
 *
 *     cc -O2 run.c secateur_runtime/runtime/kernels/_secateur.so -o run \
 *        -Wl,-rpath,'$ORIGIN/secateur_runtime/runtime/kernels'
 *     ./run net.plan < examples.f32 > answers.f32
 *
 * Examples and answers are bare float32, one after the other. */
#include "secateur_plan.h"

static int fail(const char *what) {
  fprintf(stderr, "run: %s\n", what);
  return 1;
}

int main(int argc, char **argv) {
  secateur_net net;
  if (argc != 2) return fail("give a plan file");
  const char *problem = secateur_plan_load(argv[1], &net);
  if (problem) return fail(problem);
  const secateur_buffer *input = &net.buffers[0], *output = &net.buffers[1];
  size_t size = (size_t)input->count, floats;
  while ((floats = fread(input->data, sizeof(float), size, stdin)) == size) {
    if (secateur_run(&net.task)) return fail("the plan does not run here");
    if (fwrite(output->data, sizeof(float), (size_t)output->count, stdout) != (size_t)output->count)
      return fail("the answer cannot be written");
  }
  return floats ? fail("the last example is cut off") : 0;
}
