/* SPDX-License-Identifier: PostgreSQL */
/* What a request asks: its route, and its arguments from the query, a form or a JSON body. Bounded before parsed. */
#include "config.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <talloc.h>

#include "base/text.h"
#include "control/internal.h"

#define JSON_DEPTH_MAX 8

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* Percent decoding into a new string; NULL when it is malformed, holds a NUL or is no UTF-8. */
static char *decode(void *parent, const char *s, size_t len, bool plus_is_space)
{
	char *out = talloc_array(parent, char, len + 1);
	size_t n = 0;

	for (size_t i = 0; i < len; i++) {
		char c = s[i];

		if (c == '%') {
			int high = i + 2 < len ? hex_digit(s[i + 1]) : -1;
			int low = i + 2 < len ? hex_digit(s[i + 2]) : -1;

			if (high < 0 || low < 0)
				goto malformed;
			c = (char)(high * 16 + low);
			i += 2;
		} else if (c == '+' && plus_is_space) {
			c = ' ';
		}
		if (c == '\0')
			goto malformed;
		out[n++] = c;
	}
	out[n] = '\0';
	if (utf8_valid(out, n))
		return out;
malformed:
	talloc_free(out);
	return NULL;
}

enum match { MATCH_NO, MATCH_YES, MATCH_MALFORMED };

static enum match path_matches(const char *pattern, const char *path, void *parent, char **ret_segment)
{
	*ret_segment = NULL;
	for (;;) {
		size_t want = strcspn(pattern + 1, "/") + 1, have;

		if (*path != '/')
			return MATCH_NO;
		have = strcspn(path + 1, "/") + 1;
		if (pattern[1] == '{') {
			TALLOC_FREE(*ret_segment);
			if (have == 1)
				return MATCH_NO;
			*ret_segment = decode(parent, path + 1, have - 1, false);
			if (!*ret_segment)
				return MATCH_MALFORMED;
		} else if (want != have || strncmp(pattern, path, want) != 0) {
			return MATCH_NO;
		}
		pattern += want;
		path += have;
		if (*pattern == '\0')
			return *path == '\0' ? MATCH_YES : MATCH_NO;
	}
}

/* The first row that fits path and method. NULL: *ret_allow names the methods of the path, or is NULL when there is no such
   path; err is set when a segment cannot be decoded. */
const struct route *route_find(const struct route *table, unsigned n, const char *method, const char *path, void *parent,
			       char **ret_segment, const char **ret_allow, struct error *err)
{
	bool get = false, post = false;

	*ret_segment = NULL;
	*ret_allow = NULL;
	for (unsigned i = 0; i < n; i++) {
		enum match match = path_matches(table[i].path, path, parent, ret_segment);

		if (match == MATCH_MALFORMED) {
			error_set(err, "the path holds a malformed percent-encoded segment");
			return NULL;
		}
		if (match == MATCH_YES && strcmp(table[i].method, method) == 0)
			return &table[i];
		if (match == MATCH_YES) {
			get = get || strcmp(table[i].method, "GET") == 0;
			post = post || strcmp(table[i].method, "POST") == 0;
		}
		TALLOC_FREE(*ret_segment);
	}
	if (get || post)
		*ret_allow = get && post ? "GET, HEAD, POST" : get ? "GET, HEAD" : "POST";
	return NULL;
}

static void add_param(void *parent, struct param **v, unsigned *n, const char *key, const char *value)
{
	*v = talloc_realloc(parent, *v, struct param, *n + 1);
	(*v)[*n] = (struct param){ key, value };
	(*n)++;
}

int params_parse_query(void *parent, const char *query, struct param **v, unsigned *n, struct error *err)
{
	while (query && *query) {
		size_t len = strcspn(query, "&");
		const char *equals = memchr(query, '=', len);
		size_t key_len = equals ? (size_t)(equals - query) : len;

		if (len > 0) {
			char *key = decode(parent, query, key_len, true);
			char *value = equals ? decode(parent, equals + 1, len - key_len - 1, true) : talloc_strdup(parent, "1");

			if (!key || !value) {
				error_set(err, "the query holds a malformed percent-encoding");
				return 1;
			}
			add_param(parent, v, n, key, value);
		}
		query += len + (query[len] == '&');
	}
	return 0;
}

/* jansson would recurse some thousand levels deep; no argument of ours needs more than an array in an object. */
static bool too_deep(const char *body, size_t len)
{
	unsigned depth = 0;
	bool in_string = false;

	for (size_t i = 0; i < len; i++) {
		char c = body[i];

		if (in_string) {
			if (c == '\\')
				i++;
			else if (c == '"')
				in_string = false;
		} else if (c == '"') {
			in_string = true;
		} else if (c == '{' || c == '[') {
			if (++depth > JSON_DEPTH_MAX)
				return true;
		} else if ((c == '}' || c == ']') && depth > 0) {
			depth--;
		}
	}
	return false;
}

static int add_json_value(void *parent, const char *key, const json_t *value, struct param **v, unsigned *n, struct error *err)
{
	switch (json_typeof(value)) {
	case JSON_STRING:
		add_param(parent, v, n, key, talloc_strdup(parent, json_string_value(value)));
		return 0;
	case JSON_INTEGER:
		add_param(parent, v, n, key, talloc_asprintf(parent, "%lld", (long long)json_integer_value(value)));
		return 0;
	case JSON_TRUE:
	case JSON_FALSE:
		add_param(parent, v, n, key, json_is_true(value) ? "1" : "0");
		return 0;
	case JSON_NULL:
		return 0;
	default:
		error_set(err, "argument '%s' is not a string, a whole number or true or false", key);
		return 1;
	}
}

int params_parse_json(void *parent, const char *body, size_t len, struct param **v, unsigned *n, struct error *err)
{
	json_error_t why;
	json_t *document, *value, *item;
	const char *key;
	size_t i;
	int r = 0;

	if (too_deep(body, len)) {
		error_set(err, "the JSON body is nested deeper than %d levels", JSON_DEPTH_MAX);
		return 1;
	}
	document = json_loadb(body, len, JSON_REJECT_DUPLICATES, &why);
	if (!json_is_object(document)) {
		error_set(err, "the body is not a JSON object: %s", document ? "something else" : why.text);
		json_decref(document);
		return 1;
	}
	json_object_foreach(document, key, value) {
		const char *own_key = talloc_strdup(parent, key);

		if (!json_is_array(value))
			r = add_json_value(parent, own_key, value, v, n, err);
		else
			json_array_foreach(value, i, item)
				if ((r = add_json_value(parent, own_key, item, v, n, err)) != 0)
					break;
		if (r != 0)
			break;
	}
	json_decref(document);
	return r;
}

/* Is key in "target* wait timeout "? *ret_many when it may be repeated. */
static bool param_known(const char *known, const char *key, bool *ret_many)
{
	size_t len = strlen(key);

	for (const char *p = known; p && *p; p += strcspn(p, " ") + 1) {
		size_t word = strcspn(p, " *");

		if (word == len && strncmp(p, key, len) == 0) {
			*ret_many = p[word] == '*';
			return true;
		}
		if (p[strcspn(p, " ")] == '\0')
			break;
	}
	return false;
}

int params_check(const char *known, const struct param *v, unsigned n, struct error *err)
{
	for (unsigned i = 0; i < n; i++) {
		bool many = false;

		if (!param_known(known, v[i].key, &many)) {
			char *safe = text_escape(NULL, v[i].key, strlen(v[i].key), 64);

			error_set(err, "unknown argument '%s'", safe);
			error_hint(err, "known here: %s", known && *known ? known : "none");
			talloc_free(safe);
			return 1;
		}
		for (unsigned j = 0; j < i && !many; j++) {
			if (strcmp(v[j].key, v[i].key) == 0) {
				error_set(err, "argument '%s' is given twice", v[i].key);
				return 1;
			}
		}
	}
	return 0;
}

const char *request_param_next(const struct request *request, const char *key, unsigned *cursor)
{
	while (*cursor < request->n_params) {
		const struct param *param = &request->params[(*cursor)++];

		if (strcmp(param->key, key) == 0)
			return param->value;
	}
	return NULL;
}

const char *request_param(const struct request *request, const char *key)
{
	unsigned cursor = 0;

	return request_param_next(request, key, &cursor);
}

bool request_flag(const struct request *request, const char *key)
{
	static const char *const no[] = { "0", "false", "no", "off" };
	const char *value = request_param(request, key);

	for (size_t i = 0; value && i < sizeof(no) / sizeof(no[0]); i++)
		if (strcasecmp(value, no[i]) == 0)
			return false;
	return value != NULL;
}

int parse_span(const char *text, msec_t *ret)
{
	char buf[32];
	int n;

	if (duration_parse(text, ret) == 0)
		return 0;
	n = snprintf(buf, sizeof(buf), "%ss", text);
	return n < 0 || (size_t)n >= sizeof(buf) ? 1 : duration_parse(buf, ret);
}
