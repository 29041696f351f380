/* SPDX-License-Identifier: PostgreSQL */
/* Waiting for passes: an order is done when a pass that began after it has ended, however it ended. */
#include "config.h"

#include <talloc.h>

#include "control/internal.h"

struct waited {
	char *name;
	uint64_t begun;                /* passes of the target that had begun when we were asked */
	uint64_t applied;
};

struct pass_wait {
	struct waited *v;
	unsigned n;
	unsigned done;                 /* the first so many have ended */
};

struct pass_wait *pass_wait_new(void *parent, struct engine *engine, const char *const *targets, unsigned n)
{
	struct pass_wait *wait = talloc_zero(parent, struct pass_wait);

	wait->v = talloc_zero_array(wait, struct waited, n);
	wait->n = n;
	for (unsigned i = 0; i < n; i++) {
		const struct target_view *view = engine_find(engine, targets[i]);

		wait->v[i].name = talloc_strdup(wait->v, targets[i]);
		if (!view)
			continue;
		wait->v[i].begun = view->passes_begun > view->passes ? view->passes_begun : view->passes;
		wait->v[i].applied = view->changes_applied;
	}
	return wait;
}

/* A target that a reload took away is waited for no longer. */
bool pass_wait_done(struct pass_wait *wait, const struct engine *engine)
{
	for (; wait->done < wait->n; wait->done++) {
		const struct target_view *view = engine_find(engine, wait->v[wait->done].name);

		if (view && view->passes <= wait->v[wait->done].begun)
			return false;
	}
	return true;
}

static json_t *gone_row(const struct waited *waited)
{
	json_t *row = json_object();

	put_text(row, "target", waited->name);
	put_text(row, "state", target_status_name(TARGET_FAILED));
	put_int(row, "drift", 0);
	put_int(row, "held", 0);
	put_int(row, "blocked", 0);
	put_text(row, "message", "a reload took this target out of the configuration");
	return row;
}

json_t *pass_wait_rows(const struct pass_wait *wait, const struct engine *engine, bool waited)
{
	json_t *rows = json_array();

	for (unsigned i = 0; i < wait->n; i++) {
		const struct target_view *view = engine_find(engine, wait->v[i].name);
		const struct plan *plan = view ? view->plan : NULL;
		json_t *row;

		if (!view) {
			json_array_append_new(rows, gone_row(&wait->v[i]));
			continue;
		}
		row = json_object();
		put_text(row, "target", view->name);
		put_text(row, "state", target_status_name(view->status));
		put_int(row, "drift", plan ? plan->drift_objects : 0);
		put_int(row, "held", plan ? plan->held_objects : 0);
		put_int(row, "blocked", plan ? plan->blocked_objects : 0);
		json_object_set_new(row, "changes_applied", waited ? json_integer((json_int_t)(view->changes_applied - wait->v[i].applied)) :
				    json_null());
		json_object_set_new(row, "duration_seconds", waited ? json_microseconds(view->last_duration_us) : json_null());
		put_text(row, "message", view->message ? view->message : "");
		json_object_set_new(row, "plan", document_plan_id(plan));
		json_array_append_new(rows, row);
	}
	return rows;
}
