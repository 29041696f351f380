/* SPDX-License-Identifier: PostgreSQL */
/*
 * Passwords: read from a file, a systemd credential or a command; made into and
 * checked against SCRAM-SHA-256 verifiers. Clear text is wiped after use, is
 * never logged, and never leaves the process.
 */
#ifndef DBR_SESSION_SECRET_H
#define DBR_SESSION_SECRET_H

#include <stddef.h>

#include "base/error.h"
#include "config/manifest.h"

/* The secret with one trailing line end cut; wiped by its talloc destructor. 0 ok; 1 unavailable: missing, unreadable,
   empty, over 1 KiB, more than one line, readable by the world or writable by others (credentials may be 0440), owned by
   neither root nor us, not a regular file; err says which, where it was configured, and what to do.
   A credential is the file NAME in $CREDENTIALS_DIRECTORY. For SECRET_COMMAND use secret_get() of secret_command.h, which
   answers for every kind. */
int secret_read(void *parent, const struct secret_source *, char **ret, struct error *err);
/* For those who get a secret from elsewhere: a copy (s NULL: len zero bytes) that is wiped when it is freed. */
char *secret_copy(void *parent, const char *s, size_t len);
/* Cuts one line end off *len. 1: not a secret: *ret_reason is "is empty" or the like. */
int secret_trim(const char *s, size_t *len, const char **ret_reason);

/*
 * SCRAM passwords are prepared with SASLprep first, as the server and libpq do: U+00A0 becomes a blank and "ﬁ" becomes "fi". A
 * verifier that somebody made of the bytes as they are does not match such a password: libpq could not log in with it either.
 */
/* A fresh verifier "SCRAM-SHA-256$4096:salt$stored:server" with a random salt. 0 ok, or negative. */
int scram_verifier(void *parent, const char *password, char **ret, struct error *err);
/* 0 the password matches the verifier; 1 it does not; 2 not a SCRAM-SHA-256 verifier (md5, damaged, absent, or over 1,000,000
   iterations, which would hold the loop). Compares in constant time; takes about a millisecond for 4096 iterations: remember
   the answer for an unchanged pair. */
int scram_verify(const char *password, const char *verifier);
/* 0 well-formed with at least 4096 iterations. */
int scram_check(const char *verifier);
/* "md5" + md5(password || role): does a stored md5 verifier match? 0 yes; 1 no; 2 not an md5 verifier, or no md5 in FIPS mode. */
int md5_verify(const char *password, const char *role, const char *verifier);

#endif
