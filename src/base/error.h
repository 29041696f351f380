/* SPDX-License-Identifier: PostgreSQL */
/*
 * What went wrong, said once, where it happened.
 *
 * Return codes in this program: 0 ok; negative (-errno) unexpected, passed up
 * unchanged; positive a documented outcome of that module, handled by the
 * caller. The text for people goes into a struct error at its origin; callers
 * never rewrite it, they may only add a hint.
 */
#ifndef DBR_BASE_ERROR_H
#define DBR_BASE_ERROR_H

#include <stdbool.h>
#include <stddef.h>

#define ERROR_TEXT_MAX 1024

struct error {
	char file[256];      /* configuration, manifest or migration file; "" when none */
	unsigned line;       /* 1-based; 0 when unknown */
	unsigned column;     /* 1-based, in characters; 0 when unknown */
	char sqlstate[6];    /* "" when the error is not the server's */
	char text[ERROR_TEXT_MAX];
	char hint[512];      /* what to do next; "" when there is nothing to say */
};

/* Empties it for the next use; err may be NULL. */
void error_clear(struct error *err);
/* Fills text, keeping the first error: a second call on a filled error does nothing. err may be NULL. */
void error_set(struct error *err, const char *format, ...) __attribute__((format(printf, 2, 3)));
void error_set_at(struct error *err, const char *file, unsigned line, const char *format, ...)
	__attribute__((format(printf, 4, 5)));
void error_hint(struct error *err, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Puts the name in the place of the word TARGET in the hint: below the engine nobody knows it. */
void error_name_target(struct error *err, const char *target);
static inline bool error_is_set(const struct error *err) { return err->text[0] != '\0'; }
/* "file:line:column: text", as far as the place is known, without the hint; always terminated; returns buf. */
const char *error_summary(const struct error *err, char *buf, size_t size);
/* "file:line: text (hint)" into buf, always terminated; returns buf. */
const char *error_format(const struct error *err, char *buf, size_t size);

#endif
