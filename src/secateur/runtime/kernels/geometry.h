/* How a layer is cut up and where its parts lie. Internal; the words are explained in pack.h. */
#ifndef SECATEUR_GEOMETRY_H
#define SECATEUR_GEOMETRY_H

#include "pack.h"

/* Units wider than this many vectors are never better: their input falls out of the caches. */
#define MAX_UNIT_VECTORS 6
#define MAX_GROUPS 16

int layer_fits(const secateur_layer *layer);

/* The phases of an axis; 0 if there are too many. */
int axis_of(struct axis *axis, int64_t kernel, int64_t dilation, int64_t stride);

/* Where a weight's input lies in the copy, from the first channel of its block. */
int64_t index_of(const struct pack *pack, int64_t channel, int64_t h, int64_t w);

/* Where the arrays lie and how many bytes they take, from the sizes. */
void place_arrays(struct pack *pack);

/* Bytes of the copied input and of the strip's output in a thread's scratch. */
int64_t conv_copy_floats(const struct pack *pack, int32_t lanes);
int64_t conv_strip_floats(const struct pack *pack, int32_t lanes);
/* And of the tables of positions: this many for so many rows, twice. */
int64_t conv_places(int64_t rows, const secateur_shape *shape);
int64_t conv_scratch_floats(const struct pack *pack, int32_t lanes);
int64_t conv_units(const struct pack *pack, int64_t batch);
int64_t conv_blocks(const struct pack *pack);

#endif
