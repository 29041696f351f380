/* SPDX-License-Identifier: PostgreSQL */
/* Options that hold one value. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/un.h>
#include <talloc.h>

#include "base/text.h"
#include "config/reader.h"

static void mark_written(const struct option *o, void *base)
{
	if (o->extra)
		*FIELD(base, o->extra, bool) = true;
}

static bool is_written(const struct option *o, const void *base)
{
	return !o->extra || *CONST_FIELD(base, o->extra, bool);
}

/* --- true and false */

static void read_bool(struct reader *r, const struct option *o, const config_setting_t *s, void *base)
{
	if (config_setting_type(s) != CONFIG_TYPE_BOOL) {
		reader_wrong_type(r, o, s);
		return;
	}
	*FIELD(base, o->offset, bool) = config_setting_get_bool(s) == CONFIG_TRUE;
	mark_written(o, base);
}

static bool set_bool(struct reader *r, const struct option *o, const char *text, void *base)
{
	(void) r;
	*FIELD(base, o->offset, bool) = strcmp(text, "true") == 0;
	return true;
}

static void print_bool(struct text *out, const struct option *o, const void *base, unsigned indent)
{
	bool value = *CONST_FIELD(base, o->offset, bool);

	(void) indent;
	if (o->extra || o->fallback ? is_written(o, base) : value)
		text_add(out, value ? "true" : "false");
}

const struct option_type type_bool = { "boolean", "true or false", read_bool, set_bool, print_bool };

/* A bit of role_wish.attrs and attrs_mask. */
static void read_attribute(struct reader *r, const struct option *o, const config_setting_t *s, void *base)
{
	unsigned bit = (unsigned) o->min;

	if (config_setting_type(s) != CONFIG_TYPE_BOOL) {
		reader_wrong_type(r, o, s);
		return;
	}
	*FIELD(base, o->extra, unsigned) |= bit;
	if (config_setting_get_bool(s) == CONFIG_TRUE)
		*FIELD(base, o->offset, unsigned) |= bit;
}

static void print_attribute(struct text *out, const struct option *o, const void *base, unsigned indent)
{
	(void) indent;
	if (*CONST_FIELD(base, o->extra, unsigned) & (unsigned) o->min)
		text_add(out, *CONST_FIELD(base, o->offset, unsigned) & (unsigned) o->min ? "true" : "false");
}

const struct option_type type_attribute = { "boolean", "true or false", read_attribute, NULL, print_attribute };

/* --- numbers */

static bool read_number(struct reader *r, const struct option *o, const config_setting_t *s, int64_t *ret)
{
	if (config_setting_type(s) != CONFIG_TYPE_INT) {
		if (!reader_has_error(r, s))
			reader_wrong_type(r, o, s);
		return false;
	}
	*ret = config_setting_get_int(s);
	if (*ret >= o->min && *ret <= o->max)
		return true;
	if (!reader_has_error(r, s))
		reader_error(r, s, "%lld is out of range (%lld to %lld)", (long long) *ret, (long long) o->min, (long long) o->max);
	return false;
}

static void read_count(struct reader *r, const struct option *o, const config_setting_t *s, void *base)
{
	int64_t value;

	if (read_number(r, o, s, &value))
		*FIELD(base, o->offset, uint32_t) = (uint32_t) value;
}

static bool set_count(struct reader *r, const struct option *o, const char *text, void *base)
{
	(void) r;
	*FIELD(base, o->offset, uint32_t) = (uint32_t) strtoul(text, NULL, 10);
	return true;
}

static void print_count(struct text *out, const struct option *o, const void *base, unsigned indent)
{
	(void) indent;
	text_addf(out, "%u", *CONST_FIELD(base, o->offset, uint32_t));
}

const struct option_type type_count = { "number", "a number", read_count, set_count, print_count };

static void read_limit(struct reader *r, const struct option *o, const config_setting_t *s, void *base)
{
	int64_t value;

	if (!read_number(r, o, s, &value))
		return;
	*FIELD(base, o->offset, int32_t) = (int32_t) value;
	mark_written(o, base);
}

static void print_limit(struct text *out, const struct option *o, const void *base, unsigned indent)
{
	(void) indent;
	if (is_written(o, base))
		text_addf(out, "%d", *CONST_FIELD(base, o->offset, int32_t));
}

const struct option_type type_limit = { "number", "a number", read_limit, NULL, print_limit };

/* --- strings */

static bool is_word(const char *s)
{
	if (*s == '.' || *s == '-')
		return false;
	for (; *s; s++)
		if (!isalnum((unsigned char) *s) && !strchr("._-", *s))
			return false;
	return true;
}

static const char *string_problem(const char *s, unsigned flags)
{
	const char *reason;

	if (flags & OPT_GRANTEE && strcmp(s, "PUBLIC") == 0)
		return NULL;
	if (flags & (OPT_ROLE | OPT_GRANTEE))
		return role_name_check(s, &reason) == 0 ? NULL : reason;
	if (flags & OPT_NAME)
		return (flags & OPT_TEXT ? object_name_check : name_check)(s, &reason) == 0 ? NULL : reason;
	if (*s == '\0')
		return flags & OPT_EMPTY ? NULL : "the string is empty";
	if (!utf8_valid(s, strlen(s)))
		return "the string is not valid UTF-8";
	if (!(flags & OPT_TEXT) && text_has_control(s, strlen(s)))
		return "the string holds a control character";
	if (flags & OPT_PATH && *s != '/')
		return "the path is relative: write the whole path, from '/'";
	if (flags & OPT_SOCKET && strlen(s) >= sizeof(((struct sockaddr_un *) NULL)->sun_path))
		return "the path is too long for a socket (107 bytes)";
	if (flags & OPT_WORD && !is_word(s))
		return "only letters, digits, '.', '_' and '-' may stand here, and a letter, digit or '_' first";
	return NULL;
}

const char *reader_string(struct reader *r, const struct option *o, const config_setting_t *s)
{
	struct error expand = { 0 };
	const char *reason;

	if (config_setting_type(s) != CONFIG_TYPE_STRING) {
		reader_wrong_type(r, o, s);
		return NULL;
	}
	const char *value = env_expand(r->settings, config_setting_get_string(s), r->config_dir, &expand);
	if (!value) {
		struct error *err = reader_error(r, s, "%s", expand.text);

		if (err)
			error_hint(err, "%s", expand.hint);
		return NULL;
	}
	reason = string_problem(value, o->flags);
	if (!reason)
		return value;
	if (!reader_has_error(r, s))
		reader_error(r, s, "%s", reason);
	return NULL;
}

static void read_string(struct reader *r, const struct option *o, const config_setting_t *s, void *base)
{
	const char *value = reader_string(r, o, s);

	if (value)
		*FIELD(base, o->offset, const char *) = value;
}

static bool set_string(struct reader *r, const struct option *o, const char *text, void *base)
{
	*FIELD(base, o->offset, const char *) = reader_strdup(r, text);
	return true;
}

void option_print_indent(struct text *out, unsigned indent)
{
	for (unsigned i = 0; i < indent; i++)
		text_add(out, "  ");
}

void option_print_string(struct text *out, const char *s)
{
	char *safe = env_protect(out, s);

	text_add_char(out, '"');
	for (const char *p = safe; *p; p++) {
		if (*p == '"' || *p == '\\')
			text_addf(out, "\\%c", *p);
		else if (*p == '\n')
			text_add(out, "\\n");
		else if (*p == '\t')
			text_add(out, "\\t");
		else if (*p == '\r')
			text_add(out, "\\r");
		else if ((unsigned char) *p < 0x20 || *p == 0x7f)
			text_addf(out, "\\x%02x", (unsigned char) *p);
		else
			text_add_char(out, *p);
	}
	text_add_char(out, '"');
	talloc_free(safe);
}

static void print_string(struct text *out, const struct option *o, const void *base, unsigned indent)
{
	const char *value = *CONST_FIELD(base, o->offset, const char *);

	(void) indent;
	if (value)
		option_print_string(out, value);
}

const struct option_type type_string = { "string", "a string", read_string, set_string, print_string };

/* --- durations */

static bool set_duration(struct reader *r, const struct option *o, const char *text, void *base)
{
	msec_t ms;

	(void) r;
	if (duration_parse(text, &ms) != 0)
		return false;
	*FIELD(base, o->offset, msec_t) = ms;
	return true;
}

static void read_duration(struct reader *r, const struct option *o, const config_setting_t *s, void *base)
{
	const char *value = reader_string(r, o, s);
	char low[32], high[32];
	msec_t ms;

	if (!value)
		return;
	if (duration_parse(value, &ms) != 0) {
		reader_error(r, s, "expected %s", o->type->expected);
		return;
	}
	if (ms < o->min || ms > o->max)
		reader_error(r, s, "\"%s\" is out of range (%s to %s)", value, duration_format(o->min, low, sizeof(low)),
			     duration_format(o->max, high, sizeof(high)));
	else
		*FIELD(base, o->offset, msec_t) = ms;
}

static void print_duration(struct text *out, const struct option *o, const void *base, unsigned indent)
{
	char buf[32];

	(void) indent;
	text_addf(out, "\"%s\"", duration_format(*CONST_FIELD(base, o->offset, msec_t), buf, sizeof(buf)));
}

const struct option_type type_duration = { "duration", "a duration such as \"30s\"", read_duration, set_duration, print_duration };

/* --- sizes */

static bool set_size(struct reader *r, const struct option *o, const char *text, void *base)
{
	uint64_t bytes;

	(void) r;
	if (size_parse(text, &bytes) != 0)
		return false;
	*FIELD(base, o->offset, int64_t) = (int64_t) bytes;
	return true;
}

static void read_size(struct reader *r, const struct option *o, const config_setting_t *s, void *base)
{
	const char *value = reader_string(r, o, s);

	if (value && !set_size(r, o, value, base))
		reader_error(r, s, "expected %s", o->type->expected);
}

static void print_size(struct text *out, const struct option *o, const void *base, unsigned indent)
{
	static const char *const units[] = { "B", "kB", "MB", "GB", "TB" };
	int64_t bytes = *CONST_FIELD(base, o->offset, int64_t);
	unsigned unit = 0;

	(void) indent;
	for (; bytes > 0 && bytes % 1024 == 0 && unit + 1 < sizeof(units) / sizeof(units[0]); unit++)
		bytes /= 1024;
	text_addf(out, "\"%lld%s\"", (long long) bytes, units[unit]);
}

const struct option_type type_size = { "size", "a size such as \"500MB\" or \"1GB\"", read_size, set_size, print_size };

/* --- one of some words */

static const struct option_word *find_word(const struct option *o, const char *text)
{
	for (const struct option_word *w = o->words; w->word; w++)
		if (strcasecmp(w->word, text) == 0)
			return w;
	return NULL;
}

static const struct option_word *read_one_word(struct reader *r, const struct option *o, const config_setting_t *s)
{
	const char *value = reader_string(r, o, s), *words[32];
	const struct option_word *found = value ? find_word(o, value) : NULL;
	size_t n = 0;

	if (!value || found)
		return found;
	struct text *list = text_new(NULL);
	for (; o->words[n].word && n < 32; n++) {
		words[n] = o->words[n].word;
		text_addf(list, "%s\"%s\"", n == 0 ? "" : o->words[n + 1].word ? ", " : " or ", words[n]);
	}
	struct error *err = reader_error(r, s, "expected %s", list->s);
	const char *near = text_nearest(value, words, n);
	if (err && near)
		error_hint(err, "did you mean \"%s\"?", near);
	talloc_free(list);
	return NULL;
}

static void read_word(struct reader *r, const struct option *o, const config_setting_t *s, void *base)
{
	const struct option_word *word = read_one_word(r, o, s);

	if (word)
		*FIELD(base, o->offset, int) = word->value;
}

static bool set_word(struct reader *r, const struct option *o, const char *text, void *base)
{
	const struct option_word *word = find_word(o, text);

	(void) r;
	if (word)
		*FIELD(base, o->offset, int) = word->value;
	return word != NULL;
}

static void print_value_word(struct text *out, const struct option *o, int value)
{
	for (const struct option_word *w = o->words; w->word; w++) {
		if (w->value == value) {
			text_addf(out, "\"%s\"", w->word);
			return;
		}
	}
}

static void print_word(struct text *out, const struct option *o, const void *base, unsigned indent)
{
	(void) indent;
	print_value_word(out, o, *CONST_FIELD(base, o->offset, int));
}

const struct option_type type_word = { "word", "a word in quotes", read_word, set_word, print_word };

/* Words that stand for one of the server's letters. */
static void read_letter(struct reader *r, const struct option *o, const config_setting_t *s, void *base)
{
	const struct option_word *word = read_one_word(r, o, s);

	if (word)
		*FIELD(base, o->offset, char) = (char) word->value;
}

static bool set_letter(struct reader *r, const struct option *o, const char *text, void *base)
{
	const struct option_word *word = find_word(o, text);

	(void) r;
	if (word)
		*FIELD(base, o->offset, char) = (char) word->value;
	return word != NULL;
}

static void print_letter(struct text *out, const struct option *o, const void *base, unsigned indent)
{
	(void) indent;
	print_value_word(out, o, *CONST_FIELD(base, o->offset, char));
}

const struct option_type type_letter = { "word", "a word in quotes", read_letter, set_letter, print_letter };

/* Two words for one flag. */
static void read_flag(struct reader *r, const struct option *o, const config_setting_t *s, void *base)
{
	const struct option_word *word = read_one_word(r, o, s);

	if (word)
		*FIELD(base, o->offset, bool) = word->value;
}

static void print_flag(struct text *out, const struct option *o, const void *base, unsigned indent)
{
	(void) indent;
	if (*CONST_FIELD(base, o->offset, bool))
		print_value_word(out, o, true);
}

const struct option_type type_flag = { "word", "a word in quotes", read_flag, NULL, print_flag };

/* "present", "absent", "external" as two flags. */
static void read_ensure(struct reader *r, const struct option *o, const config_setting_t *s, void *base)
{
	const struct option_word *word = read_one_word(r, o, s);

	if (!word)
		return;
	*FIELD(base, o->offset, bool) = word->value == 1;
	if (o->extra)
		*FIELD(base, o->extra, bool) = word->value == 2;
}

static void print_ensure(struct text *out, const struct option *o, const void *base, unsigned indent)
{
	(void) indent;
	if (*CONST_FIELD(base, o->offset, bool))
		text_add(out, "\"absent\"");
	else if (o->extra && *CONST_FIELD(base, o->extra, bool))
		text_add(out, "\"external\"");
}

const struct option_type type_ensure = { "word", "a word in quotes", read_ensure, NULL, print_ensure };

/* --- secrets: where they are, never what they are */

static void read_secret(struct reader *r, const struct option *o, const config_setting_t *s, void *base)
{
	struct secret_source *secret = FIELD(base, o->offset, struct secret_source);
	const char *value = reader_string(r, o, s);

	if (!value)
		return;
	if (secret->kind != SECRET_NONE) {
		reader_error(r, s, "only one of password_credential, password_file and password_command may be written");
		return;
	}
	*secret = (struct secret_source) { .kind = (enum secret_kind) o->min, .value = value, .source = reader_source(r, s) };
}

static void print_secret(struct text *out, const struct option *o, const void *base, unsigned indent)
{
	const struct secret_source *secret = CONST_FIELD(base, o->offset, struct secret_source);

	(void) indent;
	if (secret->kind == (enum secret_kind) o->min)
		option_print_string(out, secret->value);
}

const struct option_type type_secret = { "string", "a string", read_secret, NULL, print_secret };

/* --- points in time */

static void read_time(struct reader *r, const struct option *o, const config_setting_t *s, void *base)
{
	const char *value = reader_string(r, o, s);
	char utc[32];

	if (!value)
		return;
	if (timestamp_parse(value, utc) != 0) {
		reader_error(r, s, "expected %s", o->type->expected);
		return;
	}
	*FIELD(base, o->offset, const char *) = utc[0] ? reader_strdup(r, utc) : NULL;
	mark_written(o, base);
}

static void print_time(struct text *out, const struct option *o, const void *base, unsigned indent)
{
	const char *value = *CONST_FIELD(base, o->offset, const char *);

	(void) indent;
	if (value)
		text_addf(out, "\"%s\"", value);
	else if (o->extra && is_written(o, base))
		text_add(out, "\"infinity\"");
}

const struct option_type type_time = {
	"time", "a time such as \"2027-01-01\", \"2027-01-01T12:00:00Z\" or \"infinity\"", read_time, NULL, print_time
};
