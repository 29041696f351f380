/* SPDX-License-Identifier: PostgreSQL */
/* One configuration file: opened with care, read once, scanned, parsed. Inside config/ only. */
#ifndef DBR_CONFIG_DOCUMENT_H
#define DBR_CONFIG_DOCUMENT_H

#include <libconfig.h>

#include "config/errors.h"

struct document {
	const char *file;
	config_t config;
	bool ok;              /* parsed, and nothing in the text makes a value doubtful */
	bool parsed;          /* config is filled: it may be read to find more errors */
};

/* 0: *ret is filled, ok or not, with its errors added. -ENOENT: there is no such file (nothing added). */
int document_read(void *parent, const char *file, struct config_errors *, struct document **ret);
/* From bytes: for tests and fuzzing. */
struct document *document_parse(void *parent, const char *file, const char *text, size_t len, struct config_errors *);

#endif
