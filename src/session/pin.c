/* SPDX-License-Identifier: PostgreSQL */
/*
 * The settings of our connections. The owner of a database may set nearly every one of them for everybody who connects, us
 * included, some with effect before our first statement; values in startup options win over his and survive RESET ALL.
 */
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <talloc.h>

#include "session/private.h"

enum pin_flags {
	PIN_SUPERUSER = 1,                     /* only a superuser may set it */
	PIN_UNSHOWN = 2,                       /* current_setting() tells something else than was set */
	PIN_LOCK_TIMEOUT = 4, PIN_STATEMENT_TIMEOUT = 8,   /* the value is the configuration's */
};

struct pin {
	const char *name, *value, *shown;      /* shown NULL: the same as value */
	unsigned flags;
	int from;                              /* first version, 0 = all, INT_MAX = by has_restrict_kind() */
};

static const struct pin pins[] = {
	{ "search_path", "pg_catalog,pg_temp", NULL, 0, 0 },
	{ "role", "none", NULL, 0, 0 },
	{ "statement_timeout", NULL, NULL, PIN_STATEMENT_TIMEOUT, 0 },
	{ "lock_timeout", NULL, NULL, PIN_LOCK_TIMEOUT, 0 },
	{ "idle_in_transaction_session_timeout", "60000", "1min", 0, 0 },   /* if we freeze, our locks go */
	{ "idle_session_timeout", "0", NULL, 0, 0 },
	{ "transaction_timeout", "600000", "10min", 0, 170000 },
	{ "default_transaction_read_only", "off", NULL, 0, 0 },
	{ "default_transaction_isolation", "read committed", NULL, 0, 0 },
	{ "default_transaction_deferrable", "off", NULL, 0, 0 },
	{ "synchronous_commit", "on", NULL, 0, 0 },
	{ "client_min_messages", "warning", NULL, 0, 0 },
	{ "standard_conforming_strings", "on", NULL, 0, 0 },
	{ "backslash_quote", "safe_encoding", NULL, 0, 0 },
	{ "row_security", "off", NULL, 0, 0 },                 /* rows hidden from us are an error, not silence */
	{ "check_function_bodies", "off", NULL, 0, 0 },
	{ "password_encryption", "scram-sha-256", NULL, 0, 0 },
	{ "scram_iterations", "4096", NULL, 0, 160000 },
	{ "createrole_self_grant", "", NULL, 0, 160000 },
	{ "quote_all_identifiers", "off", NULL, 0, 0 },
	{ "DateStyle", "ISO, MDY", NULL, 0, 0 },
	{ "IntervalStyle", "postgres", NULL, 0, 0 },
	{ "TimeZone", "UTC", NULL, 0, 0 },
	{ "bytea_output", "hex", NULL, 0, 0 },
	{ "extra_float_digits", "1", NULL, 0, 0 },
	{ "xmloption", "content", NULL, 0, 0 },
	{ "array_nulls", "on", NULL, 0, 0 },
	{ "transform_null_equals", "off", NULL, 0, 0 },
	{ "local_preload_libraries", "", NULL, 0, 0 },
	{ "jit", "off", NULL, 0, 0 },
	{ "max_parallel_workers_per_gather", "0", NULL, 0, 0 },     /* a look takes one core of the server, not three */
	{ "exit_on_error", "off", NULL, 0, 0 },
	{ "client_connection_check_interval", "0", NULL, 0, 0 },   /* non-zero is refused where the platform cannot do it */
	{ "tcp_user_timeout", "0", NULL, PIN_UNSHOWN, 0 },
	{ "tcp_keepalives_idle", "0", NULL, PIN_UNSHOWN, 0 },
	{ "tcp_keepalives_interval", "0", NULL, PIN_UNSHOWN, 0 },
	{ "tcp_keepalives_count", "0", NULL, PIN_UNSHOWN, 0 },
	{ "default_tablespace", "", NULL, 0, 0 },
	{ "temp_tablespaces", "", NULL, 0, 0 },
	{ "default_table_access_method", "heap", NULL, 0, 0 },
	{ "restrict_nonsystem_relation_kind", "view,foreign-table", NULL, 0, INT_MAX },
	{ "session_preload_libraries", "", NULL, PIN_SUPERUSER, 0 },
	{ "session_replication_role", "origin", NULL, PIN_SUPERUSER, 0 },
	{ "lc_messages", "C", NULL, PIN_SUPERUSER, 0 },        /* failure.c reads two English texts */
	{ "event_triggers", "off", NULL, PIN_SUPERUSER, 170000 },   /* their functions would run as us */
};

/* The user's own scripts: only what makes reading them safe, and keeps the connection that holds the lock while we wait. */
static const struct pin migration_pins[] = {
	{ "idle_session_timeout", "0", NULL, 0, 0 },
	{ "client_min_messages", "warning", NULL, 0, 0 },
	{ "standard_conforming_strings", "on", NULL, 0, 0 },
	{ "statement_timeout", NULL, NULL, PIN_STATEMENT_TIMEOUT, 0 },
	{ "lock_timeout", NULL, NULL, PIN_LOCK_TIMEOUT, 0 },
};

/* It came with minor releases (CVE-2024-7348). */
static bool has_restrict_kind(int version)
{
	return version >= 170000 || (version >= 160004 && version < 170000) || (version >= 150008 && version < 160000) ||
	       (version >= 140013 && version < 150000);
}

static bool pin_applies(const struct session *s, const struct pin *pin)
{
	const int version = s->config.version_num;

	if ((pin->flags & PIN_SUPERUSER) && !s->config.superuser)
		return false;
	if (pin->from == INT_MAX)
		return has_restrict_kind(version);
	return version >= pin->from;
}

/* As the server prints a time: the largest unit that divides it. */
static char *shown_time(void *parent, msec_t ms)
{
	static const struct { msec_t ms; const char *unit; } units[] = {
		{ 86400000, "d" }, { 3600000, "h" }, { 60000, "min" }, { 1000, "s" }, { 1, "ms" },
	};

	for (size_t i = 0; ms > 0 && i < sizeof(units) / sizeof(units[0]); i++)
		if (ms % units[i].ms == 0)
			return talloc_asprintf(parent, "%" PRId64 "%s", ms / units[i].ms, units[i].unit);
	return talloc_strdup(parent, "0");
}

static void add_pin(struct session *s, const struct pin *pin)
{
	struct pinned_setting *to = &s->pinned[s->n_pinned];
	msec_t ms = 0;

	if (pin->flags & PIN_LOCK_TIMEOUT)
		ms = s->config.lock_timeout;
	if (pin->flags & PIN_STATEMENT_TIMEOUT)
		ms = s->config.statement_timeout;
	*to = (struct pinned_setting){ .name = pin->name, .value = pin->value, .shown = pin->shown ? pin->shown : pin->value };
	if (pin->flags & PIN_UNSHOWN)
		to->shown = NULL;
	if (!pin->value) {
		if (ms <= 0)
			return;                /* the user's own */
		to->value = talloc_asprintf(s->pinned, "%" PRId64, ms > INT_MAX ? INT_MAX : ms);
		to->shown = shown_time(s->pinned, ms > INT_MAX ? INT_MAX : ms);
	}
	s->n_pinned++;
}

void session_pin(struct session *s)
{
	const struct pin *v = s->config.for_migrations ? migration_pins : pins;
	const size_t n = s->config.for_migrations ? sizeof(migration_pins) / sizeof(pins[0]) : sizeof(pins) / sizeof(pins[0]);

	s->pinned = talloc_array(s, struct pinned_setting, n);
	s->n_pinned = 0;
	for (size_t i = 0; i < n; i++)
		if (pin_applies(s, &v[i]))
			add_pin(s, &v[i]);
}

/* "-c name=value -c ...": blanks and backslashes in values are escaped with a backslash. */
char *session_options(void *parent, const struct session *s)
{
	struct text *text = text_new(parent);

	for (unsigned i = 0; i < s->n_pinned; i++) {
		text_addf(text, "%s-c %s=", i > 0 ? " " : "", s->pinned[i].name);
		for (const char *p = s->pinned[i].value; *p; p++) {
			if (*p == ' ' || *p == '\\')
				text_add_char(text, '\\');
			text_add_char(text, *p);
		}
	}
	return text->s;
}

const struct pinned_setting *session_pinned(const struct session *s, unsigned *n)
{
	*n = s->n_pinned;
	return s->pinned;
}
