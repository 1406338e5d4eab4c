/* How a layer will be packed. Internal. */
#ifndef SECATEUR_PLAN_H
#define SECATEUR_PLAN_H

#include "pack.h"

/* Fill a pack's header for this layer and weight. */
int32_t plan(struct pack *pack, const secateur_layer *layer, const float *weight);

#endif
