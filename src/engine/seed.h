/* SPDX-License-Identifier: PostgreSQL */
/*
 * Seed data: once, in a database that we created ourselves and in no other.
 * Which those are stands in state.db by cluster and oid; which files are in
 * stands in the database, in a ledger of their own, written with each file in
 * its transaction: whatever crashes when, no row comes twice. For engine/ alone.
 */
#ifndef DBR_ENGINE_SEED_H
#define DBR_ENGINE_SEED_H

#include <stdbool.h>

#include "base/error.h"

struct migrator_params;
struct server;
struct source_files;
struct target;

/* Called when a target is made: what state.db knows of it. */
void seed_load(struct target *);
/* A CREATE DATABASE of ours has succeeded on this server. */
void seed_created(struct server *, const char *database);
/* The server was looked at: which databases are those? */
void seed_identify(struct server *);
/* Is it the database that we have created? */
bool seed_is_ours(const struct target *);
bool seed_wanted(const struct target *);
/* The files as they are now; the caller unrefs. Only where there are any. */
struct source_files *seed_files(const struct target *);
/* Fills what differs from the migrations themselves. 1: the files cannot be read, err says why. */
int seed_begin(struct target *, struct migrator_params *, struct error *err);
void seed_done(struct target *);

#endif
