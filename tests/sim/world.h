/* SPDX-License-Identifier: PostgreSQL */
/*
 * A world without servers: what the engine is linked with instead of session/,
 * the decoders and reconcile/, so that thousands of targets live through hours
 * in seconds. Time is world.now, for engine_turn() as for who reads the clock.
 */
#ifndef DBR_TESTS_SIM_WORLD_H
#define DBR_TESTS_SIM_WORLD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"

struct world_database {
	char name[40];                   /* "s3", "s3/d7" */
	struct world_server *server;
	bool frozen;                     /* answers nothing */
	bool absent;                     /* 3D000 */
	bool drift, stubborn;            /* stubborn: drift comes back at once */
	msec_t drift_since, longest_drift;
	uint32_t open, connects, looks, fixes, unfixes;     /* unfixes: what was corrected was undone, and is drift again */
	msec_t last_look, longest_gap;
};

struct world_server {
	char name[16];
	bool down;
	uint64_t version;                /* changes with every write: the snapshot */
	unsigned open, max_open, limit;
	uint32_t connects;
	msec_t second;                   /* connects within one second */
	uint32_t in_second, most_in_second;
	struct world_database root;
	struct world_database *databases;
	unsigned n;
};

struct world {
	struct world_server *servers;
	unsigned n;
	msec_t now;
	msec_t latency;
	unsigned busy, readings;         /* on a busy machine time passes by itself: 25 ms at each busy-th reading of the clock; 0: none */
	unsigned open, max_open;
	uint64_t statements, quiet, looks;
};

extern struct world world;               /* the test's; one per process */

struct world_database *world_find(const char *name);
void world_drift(struct world_database *);

#endif
