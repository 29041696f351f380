/* SPDX-License-Identifier: PostgreSQL */
/* What rows of a status document add up to. */
#ifndef DBR_CTL_VERDICT_H
#define DBR_CTL_VERDICT_H

#include "ctl/ctl.h"

/* Converged, or in the middle of a pass that has found nothing so far. */
bool verdict_in_sync(const json_t *row);
/* Failed, unreachable or blocked: somebody has to do something. */
bool verdict_broken(const json_t *row);
/* 5 when a row is broken, else 1 when one is not in sync, else 0. */
int verdict_rows(const json_t *rows);
/* Leaves only rows in the status document and counts its summary anew. */
void verdict_narrow(json_t *status, json_t *rows);

#endif
