/* SPDX-License-Identifier: PostgreSQL */
/* Numbers of this process, as client libraries of Prometheus name them. */
#ifndef DBR_CONTROL_METRICS_H
#define DBR_CONTROL_METRICS_H

#include <stdint.h>

/* what: the name behind "process_"; 0 when it is not known or cannot be read. */
double process_number(const char *what, int64_t started_wall_ms);

#endif
