/* SPDX-License-Identifier: PostgreSQL */
#include "migrate/schema.h"

#include <openssl/sha.h>
#include <stdio.h>
#include <string.h>
#include <talloc.h>

#define BLOCK (64u << 10)
#define PIECE (100u << 10)

struct schema {
	struct schema_object *v;         /* sorted by kind and name, bytewise */
	uint32_t n, room;
	char *block;
	size_t used, size;
	struct text *scratch;
};

/* In the order of the letters; the letters put tables before what belongs to them. */
static const struct kind {
	char letter;
	const char *name, *parts[SCHEMA_PARTS];
} kinds[] = {
	{ 'A', "table", { "kind", "persistence", "partition key", "partition bound", "parents", "options", "replica identity", "access method",
			  "foreign server" } },
	{ 'B', "view", { "kind", "options", [8] = "definition" } },
	{ 'C', "column", { "type", "not null", "default", "generated", "identity", "collation", "storage", "position" } },
	{ 'D', "constraint", { "definition" } },
	{ 'E', "index", { "definition", "valid" } },
	{ 'F', "trigger", { "enabled", "definition" } },
	{ 'G', "rule", { "enabled", [8] = "definition" } },
	{ 'H', "statistics", { "definition" } },
	{ 'I', "sequence", { "type", "start", "increment", "minimum", "maximum", "cache", "cycle", "owner column" } },
	{ 'J', "function", { "kind", "arguments", "result", "language", "attributes", "security", "settings", [8] = "body" } },
	{ 'K', "type", { "kind", "definition", "not null", "default", "constraints", "collation" } },
};

static const struct kind *find_kind(char letter)
{
	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
		if (kinds[i].letter == letter)
			return &kinds[i];
	return NULL;
}

const char *schema_kind_name(char kind)
{
	const struct kind *k = find_kind(kind);

	return k != NULL ? k->name : "object";
}

const char *schema_part_name(char kind, unsigned part)
{
	const struct kind *k = find_kind(kind);

	return k != NULL && part < SCHEMA_PARTS && k->parts[part] != NULL ? k->parts[part] : "definition";
}

struct schema *schema_new(void *parent)
{
	struct schema *s = talloc_zero(parent, struct schema);

	s->scratch = text_new(s);
	return s;
}

uint32_t schema_count(const struct schema *s)
{
	return s->n;
}

const struct schema_object *schema_object(const struct schema *s, uint32_t at)
{
	return at < s->n ? &s->v[at] : NULL;
}

/* ---- lines ---- */

static const struct { char plain, escaped; } escapes[] = { { '\t', 't' }, { '\n', 'n' }, { '\r', 'r' }, { '\\', '\\' } };

static void add_escaped(struct text *out, const char *s, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		size_t e = 0;

		while (e < sizeof escapes / sizeof *escapes && escapes[e].plain != s[i])
			e++;
		if (e == sizeof escapes / sizeof *escapes) {
			text_add_char(out, s[i]);
		} else {
			text_add_char(out, '\\');
			text_add_char(out, escapes[e].escaped);
		}
	}
}

char *schema_unescape(void *parent, const char *s, size_t len)
{
	char *out = talloc_array(parent, char, len + 1), *to = out;

	for (size_t i = 0; i < len; i++) {
		char c = s[i];

		if (c == '\\' && i + 1 < len) {
			c = s[++i];
			for (size_t e = 0; e < sizeof escapes / sizeof *escapes; e++)
				if (escapes[e].escaped == c) {
					c = escapes[e].plain;
					break;
				}
		}
		*to++ = c;
	}
	*to = '\0';
	return out;
}

const char *schema_field(const struct schema_object *o, unsigned n, size_t *ret_len)
{
	const char *s = o->line;

	for (; n > 0; n--) {
		s += strcspn(s, "\t");
		s += *s == '\t';
	}
	*ret_len = strcspn(s, "\t");
	return s;
}

int schema_object_compare(const struct schema_object *a, const struct schema_object *b)
{
	int r = memcmp(a->line, b->line, a->key < b->key ? a->key : b->key);

	return r != 0 ? r : a->key < b->key ? -1 : a->key > b->key;
}

/* Where it is, or where it would stand. */
static uint32_t find(const struct schema *s, const struct schema_object *o)
{
	uint32_t low = 0, high = s->n;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (schema_object_compare(&s->v[middle], o) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

bool schema_has_relation(const struct schema *s, const char *name, size_t len)
{
	char *line = talloc_array(NULL, char, len + 3);
	struct schema_object o = { line, (uint32_t)len + 2 };
	bool found = false;

	memcpy(line + 2, name, len);
	line[1] = '\t';
	for (line[0] = 'A'; line[0] <= 'B' && !found; line[0]++) {
		uint32_t at = find(s, &o);

		found = at < s->n && schema_object_compare(&s->v[at], &o) == 0;
	}
	talloc_free(line);
	return found;
}

static char *keep(struct schema *s, const char *line, size_t len)
{
	char *to;

	if (s->used + len + 1 > s->size) {
		s->size = len + 1 > BLOCK ? len + 1 : BLOCK;
		s->block = talloc_array(s, char, s->size);
		s->used = 0;
	}
	to = s->block + s->used;
	memcpy(to, line, len);
	to[len] = '\0';
	s->used += len + 1;
	return to;
}

/* Rows come sorted as the server sorts; where its encoding or our escaping makes another order, they find their place. */
void schema_append(struct schema *s, const char *line, size_t len)
{
	struct schema_object o = { .line = keep(s, line, len) };
	size_t kind = strcspn(o.line, "\t");
	uint32_t at = s->n;

	o.key = (uint32_t)(kind + (o.line[kind] != '\0') + strcspn(o.line + kind + (o.line[kind] != '\0'), "\t"));
	if (s->n > 0 && schema_object_compare(&s->v[s->n - 1], &o) >= 0) {
		at = find(s, &o);
		if (schema_object_compare(&s->v[at], &o) == 0)
			return;
	}
	if (s->n == s->room) {
		s->room = s->room == 0 ? 64 : s->room * 2;
		s->v = talloc_realloc(s, s->v, struct schema_object, s->room);
	}
	memmove(&s->v[at + 1], &s->v[at], (s->n - at) * sizeof(*s->v));
	s->v[at] = o;
	s->n++;
}

/* ---- rows ---- */

static bool is_ignored(const char *name, const char *parent, const char *const *ignored, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		if (glob_match(ignored[i], name) || (parent[0] != '\0' && glob_match(ignored[i], parent)))
			return true;
	return false;
}

int schema_add(struct schema *s, const struct rowset *rows, unsigned row, const char *const *ignored, uint32_t n_ignored)
{
	const char *kind = rowset_text(rows, row, 0), *name = rowset_text(rows, row, 1), *parent = rowset_text(rows, row, 2);

	if (rows->columns != SCHEMA_COLUMNS || strlen(kind) != 1 || find_kind(*kind) == NULL || *name == '\0')
		return 1;
	if (is_ignored(name, parent, ignored, n_ignored))
		return 0;
	text_clear(s->scratch);
	text_add(s->scratch, kind);
	for (unsigned c = 1; c < SCHEMA_COLUMNS; c++) {
		size_t len = 0;
		const char *cell = rows->cell(rows, row, c, &len);

		text_add_char(s->scratch, '\t');
		if (cell != NULL)
			add_escaped(s->scratch, cell, len);
	}
	schema_append(s, s->scratch->s, s->scratch->len);
	return 0;
}

/* ---- pieces ---- */

/* Each piece with the digest of those before it: one walk, no state of a library between two slices. */
static void chain(struct schema_writer *w, const struct text *piece)
{
	unsigned char digest[SHA256_DIGEST_LENGTH];
	struct text *all = text_new(NULL);

	text_add(all, w->digest);
	text_add_len(all, piece->s, piece->len);
	SHA256((const unsigned char *)all->s, all->len, digest);
	talloc_free(all);
	for (size_t i = 0; i < sizeof digest; i++)
		snprintf(w->digest + 2 * i, 3, "%02x", digest[i]);
}

bool schema_write(const struct schema *s, struct schema_writer *w, struct text *piece)
{
	text_clear(piece);
	if (w->at > 0 && w->at >= s->n)
		return false;
	for (; w->at < s->n && piece->len < PIECE; w->at++) {
		text_add(piece, s->v[w->at].line);
		text_add_char(piece, '\n');
	}
	w->at += s->n == 0;               /* an empty list has one piece, and so a digest */
	chain(w, piece);
	return true;
}

static unsigned count_tabs(const char *s, size_t len)
{
	unsigned n = 0;

	for (size_t i = 0; i < len; i++)
		n += s[i] == '\t';
	return n;
}

int schema_read(struct schema *s, const char *piece, size_t len)
{
	while (len > 0) {
		const char *end = memchr(piece, '\n', len);
		size_t line = end != NULL ? (size_t)(end - piece) : len;

		if (end == NULL || find_kind(*piece) == NULL || count_tabs(piece, line) != SCHEMA_COLUMNS - 1 || memchr(piece, '\0', line) != NULL)
			return 1;
		schema_append(s, piece, line);
		piece += line + 1;
		len -= line + 1;
	}
	return 0;
}
