/* SPDX-License-Identifier: PostgreSQL */
/* systemd: notification, watchdog, credentials, sockets, journal. Everything is a quiet no-op outside systemd. */
#ifndef DBR_SERVICE_SERVICE_H
#define DBR_SERVICE_SERVICE_H

#include "base/clock.h"
#include "engine/engine.h"

struct service;

/* A talloc child of parent; without systemd around, one that does nothing. */
struct service *service_new(void *parent, struct event_base *);
/* Sockets passed by systemd by name ("control", "metrics"), or -1. */
int service_listen_fd(struct service *, const char *name);
void service_ready(struct service *);
void service_reloading(struct service *);
void service_stopping(struct service *, msec_t grace);
/* Once per turn: STATUS= when it changed, WATCHDOG=1 when half its time has passed and the loop moves. */
void service_turn(struct service *, const struct engine *, msec_t now);
/* When it must be turned again at the latest. */
msec_t service_deadline(const struct service *);
void service_log_init(void);       /* journal sink when JOURNAL_STREAM says so, else "<N>" prefixes or plain stderr */

#endif
