/* SPDX-License-Identifier: PostgreSQL */
/*
 * What a script may not hold, and the text that is sent. A file runs whole, by
 * the simple protocol, between our BEGIN and COMMIT; so it must not end that
 * transaction, and psql's parts of it must be taken out: data lines of COPY,
 * and the \restrict lines that pg_dump writes. Both are blanked character for
 * character, so that a position the server reports is a position in the file.
 * A plain BEGIN and COMMIT around the whole file are blanked too, and a plain
 * COMMIT alone at its end.
 *
 * A file with statements that cannot run in a transaction is cut into them.
 */
#include "migrate/migration.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <talloc.h>

#include "base/text.h"
#include "migrate/lexer.h"
#include "migrate/rules.h"

struct scan {
	void *parent;
	struct migration_file *file;
	struct lexer lexer;
	struct words words;
	char last[WORD_MAX];     /* the word before, outside parentheses */
	unsigned parens, atomic; /* depth of ( and of BEGIN ATOMIC ... CASE ... END */
	struct text *out;        /* the text that is sent; NULL while nothing was blanked */
	size_t copied;           /* how far out goes */
	/* first statement + 1 of each sort, 0 = none: what can run in a transaction, what cannot */
	uint32_t inside, outside;
	enum { ASKED_NOTHING, ASKED_WHOLE, ASKED_SPLIT } asked;
	const char *directed;             /* what a comment has asked for; NULL = none has */
	enum { FRAME_NONE, FRAME_OPEN, FRAME_CLOSED, FRAME_ENDED } frame;     /* BEGIN and COMMIT around the whole file; COMMIT alone */
	size_t framed;           /* where the frame begins, or the COMMIT that is alone */
};

static unsigned count_lines(const struct migration_file *file, size_t from, size_t to)
{
	unsigned n = 0;

	for (size_t i = from; i < to && i < file->len; i++)
		n += file->text[i] == '\n' || (file->text[i] == '\r' && file->text[i + 1] != '\n');
	return n;
}

static unsigned line_of(const struct migration_file *file, size_t at)
{
	return 1 + count_lines(file, 0, at);
}

/* The first line of what begins at start, for people. */
static char *excerpt(void *parent, const struct migration_file *file, size_t start)
{
	size_t len = strcspn(file->text + start, "\r\n;");

	return text_escape(parent, file->text + start, len, 80);
}

static int refuse(struct scan *scan, size_t at, const char *why, const char *hint)
{
	struct migration_file *file = scan->file;
	char *shown = excerpt(scan->parent, file, at);

	error_set_at(&file->refused, file->path ? file->path : file->script, line_of(file, at), "%s: %s", shown, why);
	error_hint(&file->refused, "%s", hint);
	talloc_free(shown);
	return 1;
}

/* Appends text up to from as it is, and from..to as blanks; line ends stay. */
static void blank(struct scan *scan, size_t from, size_t to)
{
	const char *text = scan->file->text;

	if (!scan->out)
		scan->out = text_new(scan->parent);
	text_add_len(scan->out, text + scan->copied, from - scan->copied);
	for (size_t i = from; i < to; i++)
		if (text[i] == '\n' || text[i] == '\r')
			text_add_char(scan->out, text[i]);
		else if (((unsigned char)text[i] & 0xC0) != 0x80)
			text_add_char(scan->out, ' ');
	scan->copied = to;
}

static size_t line_end(const struct migration_file *file, size_t at)
{
	while (at < file->len && file->text[at] != '\n' && file->text[at] != '\r')
		at++;
	return at;
}

static size_t next_line(const struct migration_file *file, size_t end)
{
	if (end < file->len && file->text[end] == '\r')
		end++;
	if (end < file->len && file->text[end] == '\n')
		end++;
	return end;
}

/* The data of COPY ... FROM stdin: the lines after the statement's, to one that is "\.". */
static int take_copy_data(struct scan *scan)
{
	struct migration_file *file = scan->file;
	size_t end = line_end(file, scan->lexer.at), data = next_line(file, end), at = data;
	struct script_copy *copies;
	struct lexer rest = { file->text, end, scan->lexer.at };

	if (lexer_next(&rest).kind != TOKEN_END)
		return refuse(scan, scan->words.start, "something follows on the line of COPY ... FROM stdin, whose data begins on the next",
			      "end the line after the semicolon");
	for (;; at = next_line(file, end)) {
		end = line_end(file, at);
		if (end - at == 2 && !memcmp(file->text + at, "\\.", 2))
			break;
		if (end == file->len)
			return refuse(scan, scan->words.start, "the data of COPY ... FROM stdin has no end",
				      "end the data with a line that holds only \\.");
	}
	copies = talloc_realloc(scan->parent, file->copies, struct script_copy, file->n_copies + 1);
	if (!copies)
		return -ENOMEM;
	file->copies = copies;
	copies[file->n_copies++] = (struct script_copy){ file->text + data, at - data, line_of(file, data) };
	blank(scan, data, end);
	scan->lexer.at = end;
	return 0;
}

static void note_start(struct words *words, size_t at)
{
	if (!words->any)
		words->start = at;
	words->any = true;
}

/* What is known of each statement; the server names the one that failed by its number when it has no position. */
static int add_statement(struct scan *scan, const struct rule *rule, size_t end)
{
	struct migration_file *file = scan->file;
	struct script_statement *more;

	if ((file->n_statements & (file->n_statements - 1)) == 0) {
		more = talloc_realloc(scan->parent, file->statements, struct script_statement,
				      file->n_statements ? file->n_statements * 2 : 1);
		if (!more)
			return -ENOMEM;
		file->statements = more;
	}
	file->statements[file->n_statements++] = (struct script_statement){
		.start = scan->words.start, .len = end - scan->words.start, .kind = rule->kind, .patient = rule->patient,
		.copies = file->n_copies,
	};
	if (rule->verdict == VERDICT_OUTSIDE && !scan->outside)
		scan->outside = file->n_statements;
	else if (rule->verdict != VERDICT_OUTSIDE && rule->kind != SCRIPT_SESSION && !scan->inside)
		scan->inside = file->n_statements;
	return 0;
}

/* A plain BEGIN before everything but SET, and COMMIT after it, mean what ours mean: they are left out. So is a COMMIT alone as the
   last statement, as the scripts of Quartz have it: what is applied elsewhere cannot be changed. False: it is no such one. */
static bool take_frame(struct scan *scan, enum verdict verdict, size_t end)
{
	const struct migration_file *file = scan->file;

	if (verdict == VERDICT_OPENS && scan->frame == FRAME_NONE && !scan->inside && !scan->outside && scan->asked != ASKED_SPLIT) {
		scan->frame = FRAME_OPEN;
		scan->framed = scan->words.start;
		scan->asked = ASKED_WHOLE;
	} else if (verdict == VERDICT_CLOSES && scan->frame == FRAME_OPEN) {
		scan->frame = FRAME_CLOSED;
	} else if (verdict == VERDICT_CLOSES && scan->frame == FRAME_NONE && scan->asked != ASKED_SPLIT && !strcmp(scan->words.v[0], "commit")) {
		scan->frame = FRAME_ENDED;
		scan->framed = scan->words.start;
	} else {
		return false;
	}
	blank(scan, scan->words.start, end < file->len ? end + 1 : end);
	return true;
}

static void next_statement(struct scan *scan)
{
	struct words *words = &scan->words;

	words->n = 0;
	words->any = false;
	words->copy_in = words->copy_out = false;
	scan->last[0] = '\0';
	scan->parens = scan->atomic = 0;
}

/* end: of its text, where the semicolon is. */
static int end_statement(struct scan *scan, size_t end)
{
	struct words *words = &scan->words;
	const struct rule *rule = rule_find(words);
	int r = 0;

	if (words->any && take_frame(scan, rule->verdict, end)) {
		next_statement(scan);
		return 0;
	}
	if (words->any && scan->frame == FRAME_ENDED)
		return refuse(scan, scan->framed, verdict_text(VERDICT_TRANSACTION), verdict_hint(VERDICT_TRANSACTION));
	if (words->any && scan->frame == FRAME_CLOSED)
		return refuse(scan, words->start, "it follows the COMMIT of the transaction that the file begins with",
			      "put what follows into a file of its own, or take BEGIN and COMMIT away");
	if (rule->verdict == VERDICT_OPENS || rule->verdict == VERDICT_CLOSES)
		return refuse(scan, words->start, verdict_text(VERDICT_TRANSACTION), verdict_hint(VERDICT_TRANSACTION));
	if (rule->verdict != VERDICT_ALLOWED && rule->verdict != VERDICT_OUTSIDE)
		return refuse(scan, words->start, verdict_text(rule->verdict), verdict_hint(rule->verdict));
	if (words->any)
		r = add_statement(scan, rule, end);
	if (!r && words->copy_out)
		return refuse(scan, words->start, "COPY ... TO stdout has nowhere to write to", "take the statement out of the file");
	if (!r && words->copy_in)
		r = take_copy_data(scan);
	next_statement(scan);
	return r;
}

/* In one transaction, or statement by statement? */
static int choose(struct scan *scan)
{
	struct migration_file *file = scan->file;
	enum verdict verdict = scan->asked == ASKED_WHOLE ? VERDICT_OUTSIDE : VERDICT_MIXED;

	file->transactional = scan->asked == ASKED_WHOLE || (scan->asked == ASKED_NOTHING && !scan->outside);
	if (!scan->outside || scan->asked == ASKED_SPLIT || (scan->asked == ASKED_NOTHING && !scan->inside))
		return 0;
	file->transactional = false;
	return refuse(scan, file->statements[scan->outside - 1].start, verdict_text(verdict), verdict_hint(verdict));
}

static void lower(char *to, const char *from, size_t len)
{
	if (len > WORD_MAX - 1)
		len = WORD_MAX - 1;
	for (size_t i = 0; i < len; i++)
		to[i] = from[i] >= 'A' && from[i] <= 'Z' ? (char)(from[i] + 32) : from[i];
	to[len] = '\0';
}

/* BEGIN ATOMIC ... END of a routine holds whole statements; CASE ends with END too. Parentheses are balanced by themselves. */
static void note_atomic(struct scan *scan, const char *word)
{
	if (scan->parens)
		return;
	if (!scan->atomic)
		scan->atomic = !strcmp(word, "atomic") && !strcmp(scan->last, "begin") && !strcmp(scan->words.v[0], "create");
	else if (!strcmp(word, "case"))
		scan->atomic++;
	else if (!strcmp(word, "end"))
		scan->atomic--;
}

static void note_word(struct scan *scan, const struct token *token)
{
	struct words *words = &scan->words;
	const char *s = scan->file->text + token->start;
	char word[WORD_MAX];

	note_start(words, token->start);
	lower(word, s, token->kind == TOKEN_QUOTED ? 1 : token->kind == TOKEN_STRING && token->len > 1 ? token->len - 1 : token->len);
	if (words->n < WORDS_MAX)
		memcpy(words->v[words->n++], word, sizeof word);
	if (token->kind != TOKEN_WORD)
		word[0] = '\0';
	note_atomic(scan, word);
	if (scan->parens)
		return;
	if (!strcmp(words->v[0], "copy")) {
		words->copy_in |= !strcmp(scan->last, "from") && !strcmp(word, "stdin");
		words->copy_out |= !strcmp(scan->last, "to") && !strcmp(word, "stdout");
	}
	memcpy(scan->last, word, sizeof word);
}

static int note_symbol(struct scan *scan, size_t at)
{
	char c = scan->file->text[at];

	if (c != ';' || scan->parens || scan->atomic)
		note_start(&scan->words, at);
	if (c == '(')
		scan->parens++;
	else if (c == ')' && scan->parens)
		scan->parens--;
	else if (c == ';' && !scan->parens && !scan->atomic)
		return end_statement(scan, at);
	return 0;
}

static bool begins(const struct migration_file *file, size_t at, const char *word)
{
	size_t len = strlen(word);

	return file->len - at >= len && !memcmp(file->text + at, word, len) &&
	       (at + len == file->len || strchr(" \t\r\n", file->text[at + len]));
}

/* \restrict and \unrestrict guard a dump against psql commands in its data; we know none, so they mean nothing here. */
static int meta_command(struct scan *scan, size_t at)
{
	const struct migration_file *file = scan->file;
	size_t end = line_end(file, at), before = at;

	while (before && (file->text[before - 1] == ' ' || file->text[before - 1] == '\t'))
		before--;
	if (scan->words.any || (before && file->text[before - 1] != '\n' && file->text[before - 1] != '\r') ||
	    (!begins(file, at, "\\restrict") && !begins(file, at, "\\unrestrict")))
		return refuse(scan, at, "a backslash command is psql's, and the server does not know it",
			      "take it out, or write it as SQL (COPY ... FROM stdin with its data is understood)");
	blank(scan, at, end);
	scan->lexer.at = end;
	return 0;
}

static int next(struct scan *scan, bool *ret_end)
{
	struct token token = lexer_next(&scan->lexer);

	switch (token.kind) {
	case TOKEN_END:
		*ret_end = true;
		return end_statement(scan, scan->file->len);
	case TOKEN_OPEN_QUOTE:
		return refuse(scan, token.start, "the quote that opens here is never closed", "close it");
	case TOKEN_OPEN_COMMENT:
		return refuse(scan, token.start, "the comment that begins here never ends", "end it with */");
	case TOKEN_BACKSLASH:
		return meta_command(scan, token.start);
	case TOKEN_SYMBOL:
		return note_symbol(scan, token.start);
	default:
		note_word(scan, &token);
		return 0;
	}
}

#define DIRECTIVE "dbreconcile:"

static int take_directive(struct scan *scan, size_t at, size_t end)
{
	const char *s = scan->file->text + at;
	char value[32] = "";
	int taken = 0;

	if (sscanf(s, " transaction = %31[a-z]%n", value, &taken) == 1 && at + (size_t)taken <= end &&
	    strspn(s + taken, " \t") == end - at - (size_t)taken) {
		if (!strcmp(value, "false") || !strcmp(value, "true")) {
			if (scan->directed && *scan->directed != *value)
				return refuse(scan, at - strlen(DIRECTIVE), "it contradicts the one above it", "take one of the two out");
			scan->directed = *value == 'f' ? "false" : "true";
			scan->asked = *value == 'f' ? ASKED_SPLIT : ASKED_WHOLE;
			return 0;
		}
	}
	return refuse(scan, at - strlen(DIRECTIVE), "an unknown directive", "known is -- " DIRECTIVE "transaction=false (or true)");
}

/* Lines "-- dbreconcile:..." above the first statement. */
static int take_directives(struct scan *scan)
{
	const struct migration_file *file = scan->file;
	struct lexer lexer = { file->text, file->len, 0 };
	size_t first = lexer_next(&lexer).start;

	for (size_t at = 0, end; at < first; at = next_line(file, end)) {
		size_t p = at + strspn(file->text + at, " \t");
		int r = 0;

		end = line_end(file, at);
		if (end - p < 2 || memcmp(file->text + p, "--", 2))
			continue;
		p += strspn(file->text + p, "-");
		p += strspn(file->text + p, " \t");
		if (p < end && !strncmp(file->text + p, DIRECTIVE, strlen(DIRECTIVE)) &&
		    strncmp(file->text + p + strlen(DIRECTIVE), "lint-ignore", strlen("lint-ignore")) != 0)      /* lint_skip.c */
			r = take_directive(scan, p + strlen(DIRECTIVE), end);
		if (r)
			return r;
	}
	return 0;
}

int migration_script_check(void *parent, struct migration_file *file)
{
	struct scan scan = { .parent = parent, .file = file, .lexer = { file->text, file->len, 0 } };
	bool end = false;
	int r;

	error_clear(&file->refused);
	file->sql = file->text;
	file->copies = NULL;
	file->n_copies = 0;
	file->statements = NULL;
	file->n_statements = 0;
	scan.asked = file->side == SIDE_TRUE ? ASKED_WHOLE : file->transactional ? ASKED_NOTHING : ASKED_SPLIT;
	r = take_directives(&scan);
	while (!r && !end)
		r = next(&scan, &end);
	if (!r && scan.frame == FRAME_OPEN)
		r = refuse(&scan, scan.framed, verdict_text(VERDICT_TRANSACTION), verdict_hint(VERDICT_TRANSACTION));
	if (!r)
		r = choose(&scan);
	if (scan.out && !r) {
		text_add_len(scan.out, file->text + scan.copied, file->len - scan.copied);
		file->sql = scan.out->s;
	}
	return r;
}

/* For lines and columns: the file before values were put in. */
static struct migration_file as_written(const struct migration_file *file)
{
	struct migration_file raw = *file;

	if (file->n_spans) {
		raw.text = file->raw;
		raw.len = file->raw_len;
	}
	return raw;
}

bool migration_statement(void *parent, const struct migration_file *file, uint32_t index, unsigned *ret_line, char **ret_text)
{
	const struct migration_file raw = as_written(file);
	size_t at, len, end;

	if (index >= file->n_statements)
		return false;
	at = migration_raw_offset(file, file->statements[index].start);
	end = migration_raw_offset(file, file->statements[index].start + file->statements[index].len);
	len = strcspn(raw.text + at, "\r\n");
	*ret_line = line_of(&raw, at);
	*ret_text = text_escape(parent, raw.text + at, end > at && end - at < len ? end - at : len, 80);
	return true;
}

unsigned migration_statement_line(const struct migration_file *file, uint32_t index, struct script_place *place)
{
	const struct migration_file raw = as_written(file);
	size_t at = migration_raw_offset(file, file->statements[index].start);

	place->lines += count_lines(&raw, place->at, at);
	place->at = at;
	return place->lines + 1;
}

bool migration_position(void *parent, const struct migration_file *file, unsigned position, unsigned *ret_line,
			unsigned *ret_column, char **ret_text)
{
	const struct migration_file raw = as_written(file);
	size_t at = 0, start;

	for (unsigned left = position; at < file->len; at++)
		if (((unsigned char)file->text[at] & 0xC0) != 0x80 && !--left)
			break;
	if (!position || (at == file->len && utf8_count(file->text, file->len) + 1 != position))
		return false;       /* one past the end is where "syntax error at end of input" points */
	at = migration_raw_offset(file, at);
	start = at;
	while (start && raw.text[start - 1] != '\n' && raw.text[start - 1] != '\r')
		start--;
	*ret_line = line_of(&raw, start);
	*ret_column = (unsigned)utf8_count(raw.text + start, at - start) + 1;
	*ret_text = text_escape(parent, raw.text + start, line_end(&raw, start) - start, 200);
	return true;
}
