/* SPDX-License-Identifier: PostgreSQL */
/*
 * What an operator orders to be done to the ledger, and never happens by
 * itself: baseline, repair, resolve, one file out of order, an undo. Writes exactly what
 * Flyway writes. Pure: a compared list in, statements out; the migration runner
 * sends them under the lock of the ledger.
 */
#ifndef DBR_MIGRATE_MEND_H
#define DBR_MIGRATE_MEND_H

#include "migrate/progress.h"

enum ledger_verb { LEDGER_BASELINE, LEDGER_REPAIR, LEDGER_RESOLVE, LEDGER_RUN, LEDGER_UNDO, LEDGER_VERBS };
const char *ledger_verb_name(enum ledger_verb);   /* "baseline" */

enum resolve_how { RESOLVE_APPLIED, RESOLVE_NOT_APPLIED, RESOLVE_FROM };

struct ledger_order {
	enum ledger_verb verb;
	const char *version;           /* or the description of a repeatable one; NULL for repair, and for undo: the newest */
	enum resolve_how how;          /* of resolve */
	uint32_t from;                 /* of RESOLVE_FROM, from 1 */
	bool out_of_order;             /* of run: also below what is applied */
	bool dry_run;
};

#define MEND_PARAMS PROGRESS_PARAMS

struct mend_action {
	const char *text;              /* for people: "delete the failed row of version 5" */
	const char *sql;               /* NULL: nothing is written for it */
	unsigned n_params;
	const char *params[MEND_PARAMS];
};

struct mending {
	struct mend_action *v;
	uint32_t n;
	bool needs_ledger, needs_progress;   /* the tables, which are not there */
	/* LEDGER_RUN and LEDGER_UNDO */
	uint32_t runs;                 /* the entry of the list that it is about */
	const struct migration_file *file;   /* what is to run: its file, or the one that undoes it; NULL = nothing */
	struct migration_finding *findings;  /* what that does to others (lint.h) */
	uint32_t n_findings;
};

struct mend_input {
	const char *schema, *table;    /* of the ledger */
	bool ledger_exists, progress_exists;
	const struct migration_list *list;
	const struct ledger_row *rows; uint32_t n_rows;
	const struct migration_files *files;
};

/* 0; 1 nothing applies: err says why. Texts point into the input or belong to parent. */
int mend_plan(void *parent, const struct ledger_order *, const struct mend_input *, struct mending *ret, struct error *err);

#endif
