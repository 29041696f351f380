/* SPDX-License-Identifier: PostgreSQL */
/* Lines of the log as entries of the journal, with fields. For this folder and its tests. */
#ifndef DBR_SERVICE_JOURNAL_H
#define DBR_SERVICE_JOURNAL_H

#include <stdbool.h>
#include <stddef.h>

#include "base/log.h"

/* 0 connected to the journal's socket at path; negative: not there. */
int journal_open(const char *path);
void journal_close(void);
/* A log_sink. Never waits: what the journal does not take at once is counted and said later. */
void journal_sink(enum log_level level, const char *target, const char *message_id, const char *text);
/* Is stderr the stream that JOURNAL_STREAM ("device:inode") names? */
bool journal_is_stderr(const char *journal_stream);

#endif
