/* SPDX-License-Identifier: PostgreSQL */
/* One line for Nagios, Icinga and their like: "DBRECONCILE STATUS - text | performance data". */
#include <stdio.h>
#include <string.h>
#include <talloc.h>

#include "ctl/client.h"
#include "ctl/verdict.h"

enum plugin { PLUGIN_OK, PLUGIN_WARNING, PLUGIN_CRITICAL, PLUGIN_UNKNOWN };

struct tally {
	int targets, in_sync, out_of_sync, broken, suspended;
	json_int_t drift, held, blocked;
	int64_t oldest_success_ms;     /* age; -1 = one never succeeded */
	struct text *which;            /* the first targets that are not in sync */
};

static void tally_row(struct ctl *ctl, struct tally *t, const json_t *row, int64_t now)
{
	int64_t at;

	t->targets++;
	t->drift += ctl_int(row, "drift");
	t->held += ctl_int(row, "held");
	t->blocked += ctl_int(row, "blocked");
	if (when_parse(ctl_raw(row, "last_success"), &at) != 0)
		t->oldest_success_ms = -1;
	else if (t->oldest_success_ms >= 0 && now - at > t->oldest_success_ms)
		t->oldest_success_ms = now - at;
	if (strcmp(ctl_raw(row, "state"), "suspended") == 0) {         /* somebody meant it */
		t->suspended++;
		return;
	}
	t->broken += verdict_broken(row);
	if (verdict_in_sync(row)) {
		t->in_sync++;
		return;
	}
	if (++t->out_of_sync <= 5)
		text_addf(t->which, "%s%s (%s)", t->which->len ? ", " : "", ctl_text(ctl, row, "target", "?"), ctl_words(ctl, ctl_raw(row, "state")));
	else if (t->out_of_sync == 6)
		text_add(t->which, ", ...");
}

/* The bar begins the performance data: it must not come from a name. */
static char *without_bars(char *s)
{
	for (char *p = s; *p; p++)
		if (*p == '|')
			*p = '/';
	return s;
}

static int say(struct ctl *ctl, enum plugin status, const char *text, json_t *perfdata, const char *perf)
{
	static const char *const names[] = { "OK", "WARNING", "CRITICAL", "UNKNOWN" };
	static const char *const words[] = { "ok", "warning", "critical", "unknown" };
	char *clean = without_bars(text_escape(ctl->scratch, text, strlen(text), 4096));
	json_auto_t *doc = NULL;

	if (ctl->output == OUTPUT_JSON) {
		doc = json_pack("{s:s, s:s, s:s, s:i, s:s, s:o}", "format", "dbreconcile.check", "format_version", DBR_FORMAT_VERSION,
				"status", words[status], "code", status, "text", clean, "performance", perfdata);
		ctl_print_json(ctl, doc);
		return (int)status;
	}
	printf("DBRECONCILE %s - %s%s%s\n", names[status], clean, *perf ? " | " : "", perf);
	json_decref(perfdata);
	return (int)status;
}

static const char *thresholds(const char *warning, const char *critical, char *buf, size_t size)
{
	snprintf(buf, size, "%s;%s", warning ? warning : "0", critical ? critical : "");
	return buf;
}

static int report(struct ctl *ctl, const struct tally *t, enum plugin status)
{
	const char *w = ctl_option(ctl, "warning"), *c = ctl_option(ctl, "critical");
	struct text *text = text_new(ctl->scratch), *perf = text_new(ctl->scratch);
	char limits[128];
	json_t *data = json_pack("{s:i, s:i, s:i, s:i, s:i, s:I, s:I, s:I}", "targets", t->targets, "in_sync", t->in_sync, "out_of_sync",
				 t->out_of_sync, "suspended", t->suspended, "broken", t->broken, "drift", t->drift, "held", t->held,
				 "blocked", t->blocked);

	text_addf(text, "%d of %d targets in sync", t->in_sync, t->targets);
	if (t->suspended > 0)
		text_addf(text, ", %d suspended", t->suspended);
	if (t->which->len > 0)
		text_addf(text, ": %s", t->which->s);
	text_addf(perf, "out_of_sync=%d;%s;0;%d in_sync=%d targets=%d suspended=%d broken=%d drift=%lld held=%lld blocked=%lld", t->out_of_sync,
		  thresholds(w, c, limits, sizeof limits), t->targets, t->in_sync, t->targets, t->suspended, t->broken, (long long)t->drift,
		  (long long)t->held, (long long)t->blocked);
	if (t->targets > 0 && t->oldest_success_ms >= 0) {
		text_addf(perf, " oldest_success=%llds", (long long)(t->oldest_success_ms / 1000));
		json_object_set_new(data, "oldest_success_seconds", json_integer(t->oldest_success_ms / 1000));
	}
	return say(ctl, status, text->s, data, perf->s);
}

static int judge(struct ctl *ctl, const struct tally *t)
{
	const char *w = ctl_option(ctl, "warning"), *c = ctl_option(ctl, "critical");
	struct range warning, critical;
	enum plugin status = PLUGIN_OK;

	if (range_parse(w ? w : "0", &warning) != 0)
		return say(ctl, PLUGIN_UNKNOWN, "--warning is not a range such as 3 or 0:3", json_object(), "");
	if (c && range_parse(c, &critical) != 0)
		return say(ctl, PLUGIN_UNKNOWN, "--critical is not a range such as 10 or 0:10", json_object(), "");
	if (range_alerts(&warning, t->out_of_sync))
		status = PLUGIN_WARNING;
	if (c ? range_alerts(&critical, t->out_of_sync) : t->broken > 0)
		status = PLUGIN_CRITICAL;
	return report(ctl, t, status);
}

int command_check(struct ctl *ctl)
{
	struct answer *answer = client_send(ctl, &(struct request){ .method = "GET", .path = DBR_PATH_STATUS, .format = "status" });
	struct tally tally = { .which = text_new(ctl->scratch) };
	json_auto_t *rows = NULL;
	int64_t now = clock_wall();
	json_t *row;
	size_t i;
	int code;

	if (answer->exit != 0) {
		/* The daemon that does not answer is what is watched for; not being allowed to ask is our own trouble. */
		bool down = answer->exit == DBR_EXIT_UNREACHABLE || answer->exit == DBR_EXIT_TIMEOUT;

		code = say(ctl, down ? PLUGIN_CRITICAL : PLUGIN_UNKNOWN, answer->text, json_object(), "");
	} else if (select_targets(ctl, answer->doc, 0, &rows) != 0) {
		code = say(ctl, PLUGIN_UNKNOWN, "a target that was named does not exist", json_object(), "");
	} else {
		json_array_foreach(rows, i, row)
			tally_row(ctl, &tally, row, now);
		code = judge(ctl, &tally);
	}
	answer_free(answer);
	return code;
}
