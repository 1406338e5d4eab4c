/* What a pack holds. Internal. */
#ifndef SECATEUR_INSPECT_H
#define SECATEUR_INSPECT_H

#include "pack.h"

/* The pack if it is one of this op and ISA (header only), else NULL. */
const struct pack *pack_of(const void *blob, int64_t bytes, const char *isa);

#endif
