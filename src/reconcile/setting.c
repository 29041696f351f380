/* SPDX-License-Identifier: PostgreSQL */
/*
 * When do two values of a setting mean the same? pg_db_role_setting keeps
 * values as they were written (65536, 64MB, OFF), so they are compared by type:
 * lists of names element by element, numbers in the unit of the setting,
 * booleans by meaning. Source: PostgreSQL documentation, "Setting Parameters";
 * guc_tables.c for the base units. And how ALTER ... SET takes them.
 */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <talloc.h>

#include "base/text.h"
#include "model/quote.h"
#include "reconcile/diff.h"

/* Lists whose elements the server quotes where they need it: of names, which it reads in lower case unless they are quoted, or of
   paths. */
static const struct {
	const char *name;
	bool paths;
} list_settings[] = {
	{ "search_path", false }, { "temp_tablespaces", false }, { "local_preload_libraries", true }, { "session_preload_libraries", true },
	{ "shared_preload_libraries", true }, { "unix_socket_directories", true }, { "output_plugin_libraries", true },
};

/* Any text: "1.10" is not "1.1" there and "App" not "app". So are all that an extension or nobody defined, as far as we know: at
   worst such a value is set once though it meant the same. */
static const char *const text_settings[] = {
	"application_name", "backtrace_functions", "default_table_access_method", "default_tablespace", "default_text_search_config",
	"dynamic_library_path", "extension_control_path", "lc_messages", "lc_monetary", "lc_numeric", "lc_time", "role",
};

/* Settings that a role or database may carry whose plain numbers have a unit. Bytes, or microseconds. */
static const struct {
	const char *name;
	double base;
} base_units[] = {
	{ "statement_timeout", 1e3 }, { "lock_timeout", 1e3 }, { "idle_in_transaction_session_timeout", 1e3 },
	{ "idle_session_timeout", 1e3 }, { "transaction_timeout", 1e3 }, { "deadlock_timeout", 1e3 },
	{ "log_min_duration_statement", 1e3 }, { "log_min_duration_sample", 1e3 }, { "tcp_user_timeout", 1e3 },
	{ "client_connection_check_interval", 1e3 }, { "vacuum_cost_delay", 1e3 }, { "tcp_keepalives_idle", 1e6 },
	{ "tcp_keepalives_interval", 1e6 }, { "work_mem", 1024 }, { "maintenance_work_mem", 1024 }, { "logical_decoding_work_mem", 1024 },
	{ "temp_file_limit", 1024 }, { "gin_pending_list_limit", 1024 }, { "max_stack_depth", 1024 },
	{ "temp_buffers", 8192 }, { "effective_cache_size", 8192 }, { "min_parallel_table_scan_size", 8192 },
	{ "min_parallel_index_scan_size", 8192 }, { "log_parameter_max_length", 1 }, { "log_parameter_max_length_on_error", 1 },
	{ "track_activity_query_size", 1 },
};

static const struct {
	const char *name;
	double factor;
	bool time;
} units[] = {
	{ "us", 1, true }, { "ms", 1e3, true }, { "s", 1e6, true }, { "min", 6e7, true }, { "h", 3.6e9, true }, { "d", 8.64e10, true },
	{ "B", 1, false }, { "kB", 1024, false }, { "MB", 1048576, false }, { "GB", 1073741824, false }, { "TB", 1099511627776.0, false },
};

#define COUNT(a) (sizeof(a) / sizeof *(a))

bool setting_is_list(const char *name)
{
	for (size_t i = 0; i < COUNT(list_settings); i++)
		if (strcasecmp(name, list_settings[i].name) == 0)
			return true;
	return false;
}

static bool is_text(const char *name)
{
	for (size_t i = 0; i < COUNT(text_settings); i++)
		if (strcasecmp(name, text_settings[i]) == 0)
			return true;
	return strchr(name, '.') != NULL;
}

static bool has_paths(const char *list)
{
	for (size_t i = 0; i < COUNT(list_settings); i++)
		if (strcasecmp(list, list_settings[i].name) == 0)
			return list_settings[i].paths;
	return false;
}

/* Next element of "a, \"B c\", $user" into out, as the server understands it; false at the end. */
static bool next_element(const char **p, bool paths, struct text *out)
{
	text_clear(out);
	while (**p == ' ' || **p == ',')
		(*p)++;
	if (**p == '\0')
		return false;
	if (**p == '"') {
		for ((*p)++; **p; (*p)++) {
			if (**p == '"' && (*p)[1] == '"')
				(*p)++;
			else if (**p == '"')
				break;
			text_add_char(out, **p);
		}
		if (**p)
			(*p)++;
		return true;
	}
	for (; **p && **p != ','; (*p)++)
		text_add_char(out, paths ? **p : (char)tolower((unsigned char)**p));
	while (out->len && out->s[out->len - 1] == ' ')
		out->s[--out->len] = '\0';
	return true;
}

/* An empty list is kept as one empty name. */
static const char *list_or_empty_name(const char *list)
{
	return list[strspn(list, " ,")] ? list : "\"\"";
}

static bool lists_equal(const char *a, const char *b, bool paths)
{
	struct text *x = text_new(NULL), *y = text_new(x);
	bool more_a, more_b, equal = true;

	a = list_or_empty_name(a);
	b = list_or_empty_name(b);
	do {
		more_a = next_element(&a, paths, x);
		more_b = next_element(&b, paths, y);
		equal = more_a == more_b && (!more_a || strcmp(x->s, y->s) == 0);
	} while (equal && more_a);
	talloc_free(x);
	return equal;
}

/* 1 true, 0 false, -1 not a boolean: parse_bool() takes unique prefixes of true, false, yes, no, and on, off, 1, 0. */
static int boolean(const char *s)
{
	size_t len = strlen(s);

	if (len == 0)
		return -1;
	if (strncasecmp(s, "true", len) == 0 || strncasecmp(s, "yes", len) == 0 || strcasecmp(s, "on") == 0 || strcmp(s, "1") == 0)
		return 1;
	if (strncasecmp(s, "false", len) == 0 || strncasecmp(s, "no", len) == 0 || strcasecmp(s, "off") == 0 ||
	    strcasecmp(s, "of") == 0 || strcmp(s, "0") == 0)
		return 0;
	return -1;
}

/* A number with its unit applied; plain numbers take base. False when it is none. */
static bool quantity(const char *s, double base, double *ret, int *ret_dimension)
{
	char *end;
	double value = strtod(s, &end);

	if (end == s)
		return false;
	while (*end == ' ')
		end++;
	*ret_dimension = 0;
	if (*end == '\0') {
		*ret = value * base;
		return true;
	}
	for (size_t i = 0; i < COUNT(units); i++) {
		if (strcmp(end, units[i].name) == 0) {
			*ret = value * units[i].factor;
			*ret_dimension = units[i].time ? 1 : 2;
			return true;
		}
	}
	return false;
}

bool setting_equal(const char *name, const char *a, const char *b)
{
	double base = 1, x, y;
	int dimension_a, dimension_b, t;

	if (strcmp(a, b) == 0)
		return true;
	if (setting_is_list(name))
		return lists_equal(a, b, has_paths(name));
	if (is_text(name))
		return false;
	for (size_t i = 0; i < COUNT(base_units); i++)
		if (strcasecmp(name, base_units[i].name) == 0)
			base = base_units[i].base;
	if (quantity(a, base, &x, &dimension_a) && quantity(b, base, &y, &dimension_b)) {
		/* a plain number beside one with a unit can only be judged when the setting's own unit is known */
		if (dimension_a != dimension_b && base == 1)
			return false;
		return x == y;
	}
	t = boolean(a);
	if (t >= 0 && t == boolean(b))
		return true;
	return strcasecmp(a, b) == 0;          /* words of an enum */
}

/* search_path and its like take one literal for each element: 'a, b' in one literal is one strange name. */
void setting_write_list(struct text *out, const char *name, const char *value)
{
	struct text *element = text_new(out);
	const char *comma = "";

	for (value = list_or_empty_name(value); next_element(&value, has_paths(name), element); comma = ", ") {
		text_add(out, comma);
		quote_literal(out, element->s);
	}
	talloc_free(element);
}

/* work_mem stays plain, my.setting is quoted as it stands */
void setting_write_name(struct text *out, const char *name)
{
	const char *dot = strchr(name, '.');

	if (!dot) {
		quote_ident(out, name);
		return;
	}
	quote_ident_len(out, name, (size_t)(dot - name));
	text_add_char(out, '.');
	quote_ident(out, dot + 1);
}
