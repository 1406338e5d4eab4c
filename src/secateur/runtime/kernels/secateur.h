/* secateur's sparse kernels: the C interface.
 *
 * Plain C11, no dependency, no Python and no torch ABI: a shared library that `kernels.py` loads
 * with ctypes. Everything is fp32 on the CPU.
 *
 * How it is used
 *   1. `secateur_pack` turns a dense weight (most of it zeros) and its bias into a *pack*: one blob
 *      without pointers inside, owned by the caller, read-only afterwards, shared by any number of
 *      threads. A pack is made for one input height and width and tuned for one batch size; it gives
 *      the right answer for any batch size.
 *   2. The caller fills an array of `secateur_op`, one per layer, which name their buffers by index.
 *   3. `secateur_run` runs the whole array in one call, on one parallel region, on `batch` images.
 *      It allocates nothing: `secateur_scratch_bytes` says how much scratch memory to hand in.
 *      It is re-entrant: two threads may run the same ops with buffers and scratch of their own.
 *
 * Two ways to share the work
 *   part = 0   The threads share each op, and wait for one another after it. For a batch that is too
 *              small to be cut up. Every buffer holds the whole batch.
 *   part > 0   The batch is cut into parts of so many images. A thread takes a part through all the
 *              ops, then the next part that nobody has taken: nobody waits, and what an op writes is
 *              still in the cache when the next op reads it. A buffer for what lies in between need
 *              hold one part only, but one for each thread (`step`).
 *
 * Layouts (L = secateur_lanes(): 4, 8 or 16 by instruction set)
 *   SECATEUR_PLAIN   torch's own: [batch][features], with features = channels x height x width.
 *   SECATEUR_LANES   [ceil(batch / L)][features][L]: the images of a tile side by side, one in each
 *                    lane. The lanes past the last image hold numbers that nobody should read.
 *                    A buffer in this layout holds ceil(batch / L) * L * features floats.
 *   Between the layers of a big batch LANES is the faster one: no transposing, every load aligned.
 *   Linear and convolution read and write either (fixed when packed); COPY converts;
 *   the other ops need input and output in the same layout. Flatten is no op in either layout.
 *
 * Threads: no pool of our own. `secateur_set_runtime` hands over the entry points of the OpenMP
 * runtime that torch has already loaded; without it everything runs on the calling thread.
 *
 * Numbers: subnormals are flushed to zero while an op runs, in every thread that runs it, and the
 * caller's mode is restored. A weight of exactly zero is not stored, so it does not carry a NaN or an
 * infinity of the input to the output (dense code would: 0 x NaN = NaN). Sums are taken in another
 * order than torch's: equal to rounding. No sum is shared between threads: the same pack gives the
 * same bits on any number of them.
 */
#ifndef SECATEUR_H
#define SECATEUR_H

#include <stdint.h>

#if defined(_WIN32)
#define SECATEUR_API __declspec(dllexport)
#else
#define SECATEUR_API __attribute__((visibility("default")))
#endif

/* Raised when a struct or a signature below changes; `kernels.py` refuses another number. */
#define SECATEUR_ABI 4

enum secateur_status {
  SECATEUR_OK = 0,
  SECATEUR_BAD_ARGUMENT = 1, /* a size, layout, kind or index that cannot be */
  SECATEUR_BAD_PACK = 2,     /* not a pack, made for another ISA or layer, or damaged */
  SECATEUR_SMALL_BUFFER = 3  /* a buffer, the scratch or the blob is smaller than needed */
};

enum secateur_layout { SECATEUR_PLAIN = 0, SECATEUR_LANES = 1 };

enum secateur_kind {
  SECATEUR_LINEAR = 1,          /* pack; input: in_channels features, output: out_channels */
  SECATEUR_CONV2D = 2,          /* pack */
  SECATEUR_COPY = 3,            /* converts between layouts; may fuse ReLU */
  SECATEUR_RELU = 4,            /* the same as COPY with SECATEUR_FUSE_RELU; in place allowed */
  SECATEUR_ADD = 5,             /* output = input + other; in place on either allowed */
  SECATEUR_AFFINE = 6, /* pack: float scale[channels], shift[channels]; in place allowed */
  SECATEUR_MAX_POOL = 7, /* kernel, stride, padding, dilation as torch's; padding = -inf */
  SECATEUR_AVG_POOL = 8, /* kernel, stride, padding; see SECATEUR_COUNT_PADDING */
  SECATEUR_GLOBAL_AVG_POOL = 9, /* out_height = out_width = 1 */
  SECATEUR_ACTIVATE = 10, /* a secateur_function of each number; in place allowed */
  SECATEUR_MUL = 11,      /* output = input x other; in place on either allowed */
  SECATEUR_SCALE = 12,    /* other: a number for each channel of each image; in place on input */
  SECATEUR_PLACE = 13, /* the channels of input become those of output from pad_top on */
  SECATEUR_SHUFFLE = 14 /* channels that become places; see secateur_shape */
};

enum secateur_flag {
  SECATEUR_FUSE_RELU = 1, /* clamp the output at zero; NaN stays NaN */
  SECATEUR_COUNT_PADDING = 2 /* AVG_POOL: padding counts in the divisor (torch's default) */
};

/* What ACTIVATE does: flags = function << SECATEUR_FUNCTION_SHIFT. A NaN stays one. */
#define SECATEUR_FUNCTION_SHIFT 8

enum secateur_function {
  SECATEUR_CLAMP = 1, /* pack: two floats, the lowest and the highest */
  SECATEUR_LEAKY = 2, /* pack: two floats, of which the first is the slope below zero */
  SECATEUR_ELU = 3, /* pack: two floats, of which the first is what is reached below zero */
  SECATEUR_SIGMOID = 4,
  SECATEUR_HARD_SIGMOID = 5,
  SECATEUR_SILU = 6,
  SECATEUR_HARD_SWISH = 7,
  SECATEUR_TANH = 8,
  SECATEUR_GELU = 9,
  SECATEUR_GELU_TANH = 10
};

enum secateur_algorithm {
  SECATEUR_AUTO = 0, /* by a cost model, from the shape and the batch size */
  SECATEUR_BY_IMAGE = 1, /* linear: dot products; conv: along the image. PLAIN layouts only */
  SECATEUR_BY_LANE = 2 /* vectors across the batch */
};

/* The geometry of one op. Linear and element-wise ops: heights, widths, kernels, strides and
 * dilations are 1, padding is 0 (element-wise: in_* is the tensor's shape, out_* the same).
 * SHUFFLE: the place (y, x) of output channel c is that of (y + pad_top) / stride_height, (x +
 * pad_left) / stride_width in input channel (c x stride_height + the one rest) x stride_width + the
 * other rest. */
typedef struct secateur_shape {
  int32_t in_channels, in_height, in_width;
  int32_t out_channels, out_height, out_width;
  int32_t kernel_height, kernel_width;
  int32_t stride_height, stride_width;
  int32_t pad_top, pad_left; /* what lies below and right follows from the output's size */
  int32_t dilation_height, dilation_width;
} secateur_shape;

typedef struct secateur_op {
  int32_t kind; /* secateur_kind */
  int32_t flags; /* secateur_flag, or-ed */
  int32_t in_layout, out_layout; /* secateur_layout */
  int32_t input, other,
      output; /* indices into the buffers; `other` only where two are read, else -1 */
  int32_t reserved; /* 0 */
  secateur_shape shape;
  const void *pack; /* LINEAR, CONV2D: the pack; AFFINE: 2 x channels floats; ACTIVATE: 2 floats */
  int64_t pack_bytes;
} secateur_op;

typedef struct secateur_buffer {
  float *data; /* aligned to 4 bytes at least; 64 is faster */
  int64_t count; /* floats that may be touched */
  int64_t step; /* 0: the whole batch lies in it; else one part for each thread, so far apart */
} secateur_buffer;

/* What to run, on what. Only `failed` is written. */
typedef struct secateur_task {
  const secateur_op *ops;
  const secateur_buffer *buffers;
  void *scratch;
  int64_t scratch_bytes;
  int64_t batch; /* images; 0 is fine and does nothing */
  int64_t part; /* images of a part, a multiple of the lanes if LANES occurs; or 0 */
  int32_t n_ops, n_buffers;
  int32_t threads; /* at most so many; fewer where the work is too small to pay */
  int32_t failed; /* the index of the op at fault, -1: none in particular */
} secateur_task;

/* What to pack: the layer's geometry and how it will be run. */
typedef struct secateur_layer {
  int32_t kind; /* SECATEUR_LINEAR or SECATEUR_CONV2D */
  int32_t in_layout, out_layout;
  int32_t algorithm; /* secateur_algorithm */
  int64_t batch; /* the batch size to tune for, >= 1 */
  secateur_shape shape;
} secateur_layer;

/* What a pack holds, for reports and cost models. */
typedef struct secateur_pack_info {
  int32_t kind, in_layout, out_layout, algorithm;
  int32_t index_bits; /* 16 or 32 */
  int32_t tile; /* vectors kept in registers at once */
  int64_t nonzeros; /* weights that are not zero */
  int64_t stored; /* weights that the pack stores, zeros among them included */
  secateur_shape shape;
} secateur_pack_info;

SECATEUR_API int32_t secateur_abi(void);

/* "portable", "avx2", "avx512" or "neon": what the CPU and the system allow, or what `secateur_use_isa`
 * chose. Packs are made for one ISA. */
SECATEUR_API const char *secateur_isa(void);

/* 1 if this CPU and build can run the ISA of that name. */
SECATEUR_API int32_t secateur_has_isa(const char *name);

/* Force one ISA from now on, for tests. SECATEUR_BAD_ARGUMENT if it cannot run here. */
SECATEUR_API int32_t secateur_use_isa(const char *name);

/* Floats in a lane tile, of the ISA in use. */
SECATEUR_API int32_t secateur_lanes(void);

/* The OpenMP runtime to run on: addresses of GOMP_parallel, omp_get_thread_num and
 * omp_get_num_threads. All or none (NULL: serial). */
SECATEUR_API int32_t secateur_set_runtime(void (*parallel)(void (*)(void *), void *, unsigned,
                                                           unsigned),
                                          int (*thread_num)(void), int (*num_threads)(void));

/* The bytes that the pack of this layer and weight needs, or -(secateur_status).
 * weight: [out_channels][in_channels][kernel_height][kernel_width], contiguous. */
SECATEUR_API int64_t secateur_pack_bytes(const secateur_layer *layer, const float *weight);

/* Pack into `blob` (aligned to 64 bytes). bias: out_channels floats, or NULL. */
SECATEUR_API int32_t secateur_pack(const secateur_layer *layer, const float *weight,
                                   const float *bias, void *blob, int64_t blob_bytes);

/* Read a pack's description. Also checks every index in it, so a damaged one is SECATEUR_BAD_PACK. */
SECATEUR_API int32_t secateur_inspect(const void *blob, int64_t blob_bytes,
                                      secateur_pack_info *info);

/* Scratch bytes that `secateur_run` needs for these ops, or -(secateur_status). */
SECATEUR_API int64_t secateur_scratch_bytes(const secateur_op *ops, int32_t n_ops, int32_t threads);

/* Run the ops in order. Everything is checked first; on an error nothing has run. Input and output of
 * an op must not overlap unless the kind says in place. */
SECATEUR_API int32_t secateur_run(secateur_task *task);

/* ---- Training with a frozen mask --------------------------------------------------------------
 *
 * The index of the weights that are left is made once; their values change with every step, and are
 * handed over each time. Layout: the images of a batch lie side by side at each position of each
 * plane, [planes][height][width][batch], with nothing in between.
 *
 * A nonzero is one weight that is left. The output position (row, column) of its plane is fed by the
 * input position `index + row * pitch + column`: a convolution of stride 1 on an image that has its
 * padding (other strides: sorted by phase first), a linear layer with 1 x 1 images, or the transpose
 * of either. */
typedef struct secateur_nonzeros {
  int64_t planes; /* of the output */
  int64_t height, width; /* output positions of a plane */
  int64_t pitch; /* input positions from one row to the next */
  int64_t positions; /* of the input in all */
  int64_t batch; /* floats at a position: a multiple of secateur_lanes() */
  const int64_t *indptr; /* [planes + 1]: a plane's first nonzero; from 0, never falling */
  const int32_t *indices; /* [indptr[planes]] */
} secateur_nonzeros;

/* output = bias (NULL: 0) + sum of values x input over the nonzeros of each plane.
 * values: one for each nonzero. input: positions x batch floats; output: planes x height x width x batch.
 * Everything is checked first; they must not overlap. */
SECATEUR_API int32_t secateur_nonzeros_product(const secateur_nonzeros *nonzeros,
                                               const float *values, const float *bias,
                                               const secateur_buffer *input,
                                               const secateur_buffer *output, int32_t threads);

/* The gradient of each nonzero's value: the sum of outer x input over positions and images.
 * outer: the gradient of the output, as large; gradient: one for each nonzero, written over. */
SECATEUR_API int32_t secateur_nonzeros_gradient(const secateur_nonzeros *nonzeros,
                                                const secateur_buffer *input,
                                                const secateur_buffer *outer, float *gradient,
                                                int32_t threads);

#endif
