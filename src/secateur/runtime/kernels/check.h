/* Whether ops and tasks can run at all. Internal. */
#ifndef SECATEUR_CHECK_H
#define SECATEUR_CHECK_H

#include "isa.h"

/* Fits its pack and itself; the buffers are not looked at. */
int32_t check_op(const secateur_op *op, const struct isa *isa);

/* Everything; `task->failed` is set if an op is at fault. */
int32_t check_task(secateur_task *task, const struct isa *isa);

#endif
