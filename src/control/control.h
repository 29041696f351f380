/* SPDX-License-Identifier: PostgreSQL */
/* The HTTP API over the control and the metrics socket. Reads what the engine publishes, passes orders to it. */
#ifndef DBR_CONTROL_CONTROL_H
#define DBR_CONTROL_CONTROL_H

#include "engine/engine.h"

struct control;

/* fds: sockets handed over by systemd, or -1 to bind the paths of the settings. 1: cannot bind (err). */
int control_start(void *parent, struct event_base *, struct engine *, int control_fd, int metrics_fd, struct control **ret, struct error *err);
/* Completes what waits: event streams, reconcile --wait, reload. Called once per turn. */
void control_turn(struct control *, msec_t now);
void control_stop(struct control *);

#endif
