/* SPDX-License-Identifier: PostgreSQL */
/* The first process of a container. Called by the composition root before anything is open; not for a service of systemd. */
#ifndef DBR_SERVICE_CONTAINER_H
#define DBR_SERVICE_CONTAINER_H

/* As process 1 the caller goes on in a child, and this process only passes signals on, is the parent of every orphan, and ends
   as the child does. Anywhere else, and where the number of the process matters (sockets that were passed), nothing happens. */
void container_begin(void);

#endif
