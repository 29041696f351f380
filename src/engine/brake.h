/* SPDX-License-Identifier: PostgreSQL */
/*
 * A migration that failed is not tried again and again: the brake holds until
 * the files change or somebody orders it, over a restart of the daemon, too.
 * For engine/ alone.
 */
#ifndef DBR_ENGINE_BRAKE_H
#define DBR_ENGINE_BRAKE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "session/session.h"

struct target;

enum brake_kind { BRAKE_NONE, BRAKE_FILE, BRAKE_BEFORE, BRAKE_AFTER, BRAKE_SEED };

struct brake {
	enum brake_kind kind;
	uint64_t digest;                  /* of the files it failed with */
	int rank;                         /* of the ledger's last row at the first look after it; -1 = not looked yet */
	struct error error;
};

/* Called when a target is made: what state.db knows of it. */
void brake_load(struct target *);
void brake_set(struct target *, enum brake_kind, const struct error *);
void brake_release(struct target *);
/* The ledger was compared anew: does it still hold? */
void brake_review(struct target *);
/* Are the files, of seed data too, others than those it failed with? */
bool brake_is_of_other_files(const struct target *);
/* Not in a pass that somebody ordered. */
bool brake_holds(const struct target *);
/* What failed so has not happened, not even in part: it may be tried again without asking anybody. */
bool brake_harmless(enum failure, bool file_began);

#endif
