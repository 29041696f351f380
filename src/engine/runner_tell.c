/* SPDX-License-Identifier: PostgreSQL */
/* What the runner is at, as the message of its target: files may run for hours. */
#include "engine/internal.h"

#include <inttypes.h>
#include <string.h>
#include <talloc.h>

#include "engine/migrator.h"

#define TELL_EVERY 100          /* ms */

static char *text_of(const struct target *t, const struct migrator_progress *p)
{
	const char *what = t->pass->run == RUN_SEED ? "seed data" : "migration";

	if (p->holder != NULL)
		return talloc_asprintf(NULL, "waits for the lock of the ledger, which is held by %s", p->holder);
	if (p->current == NULL)
		return NULL;
	if (p->statement > 0 && p->statement <= p->current->n_statements)
		return talloc_asprintf(NULL, "%s %s runs (%" PRIu32 " of %" PRIu32 "), statement %" PRIu32 " of %" PRIu32, what, p->current->script,
				       p->done + 1, p->total, p->statement, p->current->n_statements);
	return talloc_asprintf(NULL, "%s %s runs (%" PRIu32 " of %" PRIu32 ")", what, p->current->script, p->done + 1, p->total);
}

void runner_tell(struct target *t, const struct migrator_progress *progress, msec_t now)
{
	char *text = text_of(t, progress);

	if (text != NULL && strcmp(text, t->view.message) != 0) {
		if (t->pass->told == 0 || now - t->pass->told >= TELL_EVERY) {
			t->pass->told = now;
			publish_doing(t, text);
		} else if (t->pass->told + TELL_EVERY < t->pass->runner_deadline) {
			t->pass->runner_deadline = t->pass->told + TELL_EVERY;
		}
	}
	talloc_free(text);
}

void runner_tell_hook(struct target *t, msec_t now)
{
	if (t->pass->told != 0)
		return;
	t->pass->told = now;
	publish_doing(t, t->pass->run == RUN_BEFORE ? "the hook before the migrations runs" : "the hook after the migrations runs");
}
