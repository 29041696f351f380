/* SPDX-License-Identifier: PostgreSQL */
/*
 * Passwords: read from a file, a systemd credential or a command; made into and
 * checked against SCRAM-SHA-256 verifiers. Clear text is wiped after use, is
 * never logged, and never leaves the process.
 */
#ifndef DBR_SESSION_SECRET_H
#define DBR_SESSION_SECRET_H

#include "base/error.h"
#include "config/manifest.h"

/* The secret with one trailing newline cut; wiped by its talloc destructor. 0 ok; 1 unavailable: missing, unreadable,
   empty, over 1 KiB, readable by the world (credentials may be 0440), not a regular file; err says which and what to do.
   SECRET_COMMAND only answers from the cache that secret_command_* fills. */
int secret_read(void *parent, const struct secret_source *, char **ret, struct error *err);

/* A fresh verifier "SCRAM-SHA-256$4096:salt$stored:server" with a random salt. */
int scram_verifier(void *parent, const char *password, char **ret, struct error *err);
/* 0 the password matches the verifier; 1 it does not; 2 not a SCRAM-SHA-256 verifier (md5, damaged, absent). Constant time. */
int scram_verify(const char *password, const char *verifier);
/* 0 well-formed with at least 4096 iterations. */
int scram_check(const char *verifier);
/* "md5" + md5(password || role): does a stored md5 verifier match? */
int md5_verify(const char *password, const char *role, const char *verifier);

#endif
