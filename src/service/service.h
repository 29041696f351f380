/* SPDX-License-Identifier: PostgreSQL */
/*
 * systemd: notification, watchdog, sockets, journal. Everything is a quiet
 * no-op outside systemd. Called by the composition root; decides nothing.
 * Ready means that the configuration is valid and the sockets answer, not
 * that a database does: an outage must not fail the boot.
 */
#ifndef DBR_SERVICE_SERVICE_H
#define DBR_SERVICE_SERVICE_H

#include "base/clock.h"
#include "engine/engine.h"

struct service;

/* A talloc child of parent; without systemd around, one that does nothing. */
struct service *service_new(void *parent, struct event_base *);
/* Sockets passed by systemd by name ("control", "metrics", or the name of the unit), or -1. Each is given out once. */
int service_listen_fd(struct service *, const char *name);
void service_ready(struct service *);
/* Must be followed by service_ready(), whether the reload succeeded or not: systemctl waits for it. */
void service_reloading(struct service *);
void service_stopping(struct service *, msec_t grace);
/* Once per turn: STATUS= when it changed, WATCHDOG=1 when half its time has passed and the loop moves. */
void service_turn(struct service *, const struct engine *, msec_t now);
/* When it must be turned again at the latest. */
msec_t service_deadline(const struct service *);
/* Journal sink when JOURNAL_STREAM says so, else plain stderr. */
void service_log_init(void);
/* The STATUS= line: "12 databases: 10 in sync, 1 drift, 1 unreachable; next pass 14:02:10Z". A talloc child of parent. */
char *service_status_line(void *parent, const struct engine *);

#endif
