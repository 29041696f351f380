/* SPDX-License-Identifier: PostgreSQL */
#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <talloc.h>

#include "base/text.h"
#include "config/scan.h"

#define DEPTH_MAX 32
#define NAMES_MAX 500            /* that are compared in one group; after that libconfig finds duplicates, with less to say */

struct seen_name {
	const char *name;
	size_t len;
	unsigned line;
	struct seen_name *next;
};

struct level_state {
	char open;                    /* '{', '(' or '['; 0 at the top */
	unsigned line;
	unsigned index;               /* of the element in a list or array */
	const char *name;             /* of the setting whose value is being read */
	size_t name_len;
	struct seen_name *seen;
	unsigned n_seen;
};

struct scan {
	void *mem;
	const char *file, *text;
	size_t len, at;
	unsigned line;
	struct config_errors *errors;
	struct level_state levels[DEPTH_MAX + 1];
	unsigned depth;
	unsigned settings;            /* names seen at the top */
	char last, previous;          /* significant characters: this one and the one before */
	int result;
};

static void scan_error(struct scan *s, int result, unsigned line, const char *text, const char *hint)
{
	struct error *err = config_errors_add(s->errors, s->file, line, "%s", text);

	if (err && hint)
		error_hint(err, "%s", hint);
	if (s->result < result)
		s->result = result;
}

static size_t path_add(char *buf, size_t size, size_t used, const char *part, size_t len)
{
	int n = snprintf(buf + used, size - used, "%s%.*s", used > 0 ? "." : "", (int) len, part);

	return n < 0 || (size_t) n >= size - used ? size - 1 : used + (size_t) n;
}

/* "servers.[0].interval", from what has been opened so far. */
static const char *scan_path(const struct scan *s, char *buf, size_t size)
{
	size_t used = 0;

	buf[0] = '\0';
	for (unsigned i = 0; i <= s->depth; i++) {
		const struct level_state *level = &s->levels[i];
		char index[16];

		if (level->open == '(' || level->open == '[') {
			int n = snprintf(index, sizeof(index), "[%u]", level->index);
			used = path_add(buf, size, used, index, (size_t) n);
		} else if (level->name) {
			used = path_add(buf, size, used, level->name, level->name_len);
		}
	}
	return buf;
}

static bool at(const struct scan *s, const char *word)
{
	size_t n = strlen(word);

	return s->len - s->at >= n && memcmp(s->text + s->at, word, n) == 0;
}

static void skip_line(struct scan *s)
{
	while (s->at < s->len && s->text[s->at] != '\n')
		s->at++;
}

static void skip_comment(struct scan *s)
{
	unsigned begin = s->line;

	for (s->at += 2; s->at < s->len; s->at++) {
		if (at(s, "*/")) {
			s->at += 2;
			return;
		}
		if (s->text[s->at] == '\n')
			s->line++;
	}
	scan_error(s, 2, begin, "this comment does not end", "the file looks cut, or \"*/\" is missing");
}

static void skip_string(struct scan *s)
{
	unsigned begin = s->line;

	for (s->at++; s->at < s->len; s->at++) {
		char c = s->text[s->at];

		if (c == '"') {
			s->at++;
			return;
		}
		if (c == '\n')
			s->line++;
		if (c == '\\' && s->at + 1 < s->len) {
			char path[256];

			if (at(s, "\\x00"))
				config_errors_add(s->errors, s->file, s->line, "setting '%s': a NUL character is not allowed",
						  scan_path(s, path, sizeof(path))), s->result = s->result < 1 ? 1 : s->result;
			s->at++;
			if (s->text[s->at] == '\n')
				s->line++;
		}
	}
	scan_error(s, 2, begin, "this string does not end", "the file looks cut, or a '\"' is missing");
}

static bool number_char(const struct scan *s, size_t i)
{
	char c = s->text[i];

	return isalnum((unsigned char) c) || c == '.' || ((c == '+' || c == '-') && tolower((unsigned char) s->text[i - 1]) == 'e');
}

static void number_error(struct scan *s, const char *number, size_t len, const char *reason)
{
	char path[256];

	config_errors_add(s->errors, s->file, s->line, "setting '%s': %.*s %s", scan_path(s, path, sizeof(path)),
			  len > 40 ? 40 : (int) len, number, reason);
	if (s->result < 1)
		s->result = 1;
}

/* libconfig 1.5 reads 2147483648 as -2147483648 and 0xFFFFFFFF as -1; newer ones differ among themselves. */
static void check_number(struct scan *s)
{
	size_t begin = s->at, digits;

	for (s->at++; s->at < s->len && number_char(s, s->at); s->at++)
		;
	const char *number = s->text + begin;
	size_t len = s->at - begin;
	size_t sign = number[0] == '-' || number[0] == '+';

	for (digits = sign; digits < len && isdigit((unsigned char) number[digits]); digits++)
		;
	if (len > sign + 1 && number[sign] == '0' && tolower((unsigned char) number[sign + 1]) == 'x') {
		number_error(s, number, len, "is hexadecimal: write a plain decimal number");
	} else if (digits > sign && digits < len && toupper((unsigned char) number[digits]) == 'L') {
		number_error(s, number, len, "has a suffix: write a plain decimal number");
	} else if (digits == len && len > sign) {
		char copy[32];

		errno = 0;
		memcpy(copy, number, len < sizeof(copy) ? len : sizeof(copy) - 1);
		copy[len < sizeof(copy) ? len : sizeof(copy) - 1] = '\0';
		long long value = strtoll(copy, NULL, 10);
		if (errno != 0 || value > INT32_MAX || value < INT32_MIN)
			number_error(s, number, len, "is out of range (-2147483648 to 2147483647)");
	}
}

static void open_level(struct scan *s, char c)
{
	if (s->depth == DEPTH_MAX) {
		scan_error(s, 2, s->line, "too many levels of brackets (32 are enough)", NULL);
		s->at = s->len;
		return;
	}
	s->levels[++s->depth] = (struct level_state) { .open = c, .line = s->line };
	s->at++;
}

static void close_level(struct scan *s, char c)
{
	static const char pairs[] = "{}()[]";
	char want = s->depth > 0 ? strchr(pairs, s->levels[s->depth].open)[1] : '\0';

	if (want != c) {
		char text[128];

		if (want)
			snprintf(text, sizeof(text), "'%c' does not close the '%c' of line %u", c, s->levels[s->depth].open,
				 s->levels[s->depth].line);
		else
			snprintf(text, sizeof(text), "'%c' closes nothing", c);
		scan_error(s, 2, s->line, text, NULL);
		s->at = s->len;
		return;
	}
	if (s->previous == ',' && c != '}')
		scan_error(s, 2, s->line, "the last element is followed by a ','", "remove the ',' before the bracket");
	s->depth--;
	s->at++;
}

static void check_twice(struct scan *s, struct level_state *level)
{
	struct seen_name *seen;
	char path[256];

	for (seen = level->seen; seen; seen = seen->next) {
		if (seen->len != level->name_len || memcmp(seen->name, level->name, seen->len) != 0)
			continue;
		config_errors_add(s->errors, s->file, s->line, "setting '%s': written twice (also at line %u)",
				  scan_path(s, path, sizeof(path)), seen->line);
		s->result = 2;
		return;
	}
	if (level->n_seen++ >= NAMES_MAX)
		return;
	seen = talloc_zero(s->mem, struct seen_name);
	if (!seen)
		abort();
	*seen = (struct seen_name) { .name = level->name, .len = level->name_len, .line = s->line, .next = level->seen };
	level->seen = seen;
}

static void take_name(struct scan *s)
{
	struct level_state *level = &s->levels[s->depth];
	size_t begin = s->at;

	while (s->at < s->len && (isalnum((unsigned char) s->text[s->at]) || strchr("-_*", s->text[s->at])))
		s->at++;
	if (level->open == '(' || level->open == '[')
		return;                  /* true, false */
	size_t next = s->at;
	while (next < s->len && isspace((unsigned char) s->text[next]))
		next++;
	if (next < s->len && (s->text[next] == '=' || s->text[next] == ':')) {
		level->name = s->text + begin;
		level->name_len = s->at - begin;
		s->settings += s->depth == 0;
		check_twice(s, level);
	}
}

static void scan_token(struct scan *s)
{
	char c = s->text[s->at];

	if (c == '\n' || isspace((unsigned char) c)) {
		s->line += c == '\n';
		s->at++;
		return;
	}
	if (c == '#' || at(s, "//")) {
		skip_line(s);
		return;
	}
	if (at(s, "/*")) {
		skip_comment(s);
		return;
	}
	s->previous = s->last;
	s->last = c;
	if (c == '"') {
		skip_string(s);
	} else if (at(s, "@include")) {
		scan_error(s, 2, s->line, "@include is not supported", "put the file into conf.d instead");
		skip_line(s);
	} else if (c == '{' || c == '(' || c == '[') {
		open_level(s, c);
	} else if (c == '}' || c == ')' || c == ']') {
		close_level(s, c);
	} else if (isdigit((unsigned char) c) || (strchr("+-.", c) && s->at + 1 < s->len)) {
		check_number(s);
	} else if (isalpha((unsigned char) c) || c == '*') {
		take_name(s);
	} else {
		s->levels[s->depth].index += c == ',';
		s->at++;
	}
}

static void check_bytes(struct scan *s)
{
	unsigned line = 1;

	if (s->len >= 3 && memcmp(s->text, "\xef\xbb\xbf", 3) == 0) {
		scan_error(s, 2, 1, "the file begins with a byte order mark", "save it as UTF-8 without one");
		return;
	}
	for (size_t i = 0; i < s->len; i++) {
		unsigned char c = (unsigned char) s->text[i];

		if (c == '\n') {
			line++;
		} else if ((c < 0x20 && c != '\t' && c != '\r') || c == 0x7f) {
			char text[64];

			snprintf(text, sizeof(text), "control character 0x%02x", c);
			scan_error(s, 2, line, text, "configuration files are UTF-8 text");
			return;
		}
	}
	if (utf8_valid(s->text, s->len))
		return;
	size_t good = 0;
	line = 1;
	/* the line is that of the first prefix that is not valid any more: whole lines are valid by themselves */
	for (size_t i = 0; i < s->len; i++) {
		if (s->text[i] != '\n')
			continue;
		if (!utf8_valid(s->text + good, i - good))
			break;
		good = i + 1;
		line++;
	}
	scan_error(s, 2, line, "this line is not valid UTF-8", "configuration files are UTF-8 text");
}

static void check_end(struct scan *s)
{
	if (s->depth > 0) {
		char text[128];

		snprintf(text, sizeof(text), "the '%c' opened here is never closed", s->levels[s->depth].open);
		scan_error(s, 2, s->levels[s->depth].line, text, "the file looks cut");
	} else if (s->settings == 0) {
		scan_error(s, 2, 1, "the file holds no setting", "an empty file is refused: remove it, or restore what it held");
	} else if (!strchr(";})]", s->last)) {
		/* a bracket or ';' ends a setting, with or without a newline behind; a number or word may go on */
		scan_error(s, 1, s->line - (s->text[s->len - 1] == '\n'), "the last setting does not end with ';'", "the file looks cut");
	}
}

int config_scan(const char *file, const char *text, size_t len, struct config_errors *errors)
{
	struct scan s = { .file = file, .text = text, .len = len, .line = 1, .errors = errors };

	check_bytes(&s);
	if (s.result == 2)
		return 2;
	s.mem = talloc_new(NULL);
	while (s.at < s.len)
		scan_token(&s);
	talloc_free(s.mem);
	if (s.at == s.len && s.result < 2)
		check_end(&s);
	return s.result;
}
