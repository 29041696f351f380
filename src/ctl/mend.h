/* SPDX-License-Identifier: PostgreSQL */
/* Orders on a ledger: migrations TARGET baseline, repair, resolve, run, undo; release, on who waits for a target; and accept-schema. */
#ifndef DBR_CTL_MEND_H
#define DBR_CTL_MEND_H

#include "ctl/ctl.h"

/* Is args[1] such an order, or args[0] with the target after it? Puts the target first. */
bool mend_is_order(struct ctl *);
int mend_order(struct ctl *);

#endif
