/* All kernels of one instruction set: compiled once for each, with other flags. */
#include "conv.h"
#include "dot.h"
#include "elementwise.h"
#include "activate.h"
#include "isa.h"
#include "joined.h"
#include "pool.h"
#include "nonzeros.h"

const struct isa ISA_TABLE = {
    .name = ISA_NAME,
    .lanes = LANES,
    .max_tile = MAX_TILE,
    .dot = run_dot,
    .conv = run_conv,
    .copy = run_copy,
    .add = run_add,
    .affine = run_affine,
    .max_pool = run_max_pool,
    .avg_pool = run_avg_pool,
    .global_avg_pool = run_global_avg_pool,
    .activate = run_activate,
    .mul = run_mul,
    .scale = run_scale,
    .place = run_place,
    .shuffle = run_shuffle,
    .nonzeros_product = run_nonzeros_product,
    .nonzeros_gradient = run_nonzeros_gradient,
};
