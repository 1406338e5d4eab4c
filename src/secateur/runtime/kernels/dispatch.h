/* Which instruction set runs. Internal. */
#ifndef SECATEUR_DISPATCH_H
#define SECATEUR_DISPATCH_H

#include "isa.h"

const struct isa *current_isa(void);

#endif
