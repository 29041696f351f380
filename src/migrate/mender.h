/* SPDX-License-Identifier: PostgreSQL */
/* Planning orders on a ledger: what mend.c and mend_run.c share. Private to this folder. */
#ifndef DBR_MIGRATE_MENDER_H
#define DBR_MIGRATE_MENDER_H

#include "migrate/mend.h"

struct mender {
	void *parent;
	const struct ledger_order *order;
	const struct mend_input *in;
	struct mending *out;
	struct error *err;
	int rank;                      /* of the last row that there will be */
};

struct mend_action *mender_add(struct mender *, const char *sql, unsigned n_params, const char *text);
const char *mender_label(struct mender *, const char *version, const char *description);
/* The entry that is meant by the order's version; NULL: err says that there is none. */
const struct migration *mender_find(struct mender *);
/* Its file is gone, and that is not tolerated. */
bool mender_is_missing(const struct mender *, const struct migration *);

/* mend_run.c: orders that run a file. 0; 1: err says why not. */
int mender_run(struct mender *);
int mender_undo(struct mender *);

#endif
