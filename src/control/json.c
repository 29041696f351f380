/* SPDX-License-Identifier: PostgreSQL */
/* Values of the documents: one way to write a text, a time, a span. */
#include "config.h"

#include <stdio.h>
#include <string.h>
#include <talloc.h>

#include "base/text.h"
#include "control/internal.h"

#define SERVER_TEXT_MAX (64 * 1024)

json_t *json_document(const char *format)
{
	json_t *document = json_object();

	json_object_set_new(document, "format", json_string(format));
	json_object_set_new(document, "format_version", json_string(DBR_FORMAT_VERSION));
	return document;
}

/* Names and messages of a SQL_ASCII server may be any bytes; JSON may not. */
json_t *json_text(const char *s)
{
	json_t *value;
	char *safe;

	if (!s)
		return json_null();
	value = json_string(s);
	if (value)
		return value;
	safe = text_escape(NULL, s, strlen(s), SERVER_TEXT_MAX);
	value = json_string(safe);
	talloc_free(safe);
	return value ? value : json_null();
}

json_t *json_time(int64_t wall_ms)
{
	char buf[40];

	return wall_ms > 0 ? json_string(clock_rfc3339(wall_ms, buf, sizeof(buf))) : json_null();
}

json_t *json_seconds(msec_t ms)
{
	return json_real((double)ms / 1000.0);
}

json_t *json_microseconds(int64_t us)
{
	return json_real((double)us / 1e6);
}

void put_text(json_t *object, const char *key, const char *value)
{
	json_object_set_new(object, key, json_text(value));
}

void put_int(json_t *object, const char *key, int64_t value)
{
	json_object_set_new(object, key, json_integer(value));
}

void put_bool(json_t *object, const char *key, bool value)
{
	json_object_set_new(object, key, json_boolean(value));
}

void put_time(json_t *object, const char *key, int64_t wall_ms)
{
	json_object_set_new(object, key, json_time(wall_ms));
}

const char *mode_name(enum run_mode mode)
{
	return mode == MODE_ENFORCE ? "enforce" : "observe";
}

const char *version_text(int version_num, char *buf, size_t size)
{
	snprintf(buf, size, "%d.%d", version_num / 10000, version_num % 10000);
	return buf;
}
