/* SPDX-License-Identifier: PostgreSQL */
/* Reading files of migrations with every reason collected: what the readers of this folder share. Private to it. */
#ifndef DBR_MIGRATE_READING_H
#define DBR_MIGRATE_READING_H

#include <sys/stat.h>

#include "migrate/migration.h"

struct reading {
	void *parent;
	struct migration_files *files;
	struct error *errs;
	uint32_t n_errs;
	struct error dropped;      /* over the limit: shown to nobody */
};

struct error *reading_error(struct reading *);
void reading_warn(struct reading *, const char *path, const char *what);
/* These three give 1 when a reason was added. */
int reading_io_error(struct reading *, const char *path, const char *what);
int reading_check_mode(struct reading *, const char *path, const struct stat *);      /* nobody else may write it */
int reading_check_text(struct reading *, const char *path, const char *text, size_t len);
/* Hands over every name in the directory that does not begin with a dot, in their order; all of them, even after one that has
   faults. 0, 1 or negative. */
typedef int reading_take(struct reading *, const char *path, const char *name, const void *data);
int reading_directory(struct reading *, const char *path, reading_take *, const void *data);
/* A regular file of at most 64 MiB, terminated; a child of reading->files. 0, 1 or -ENOMEM. */
int reading_bytes(struct reading *, const char *path, char **ret, size_t *ret_len);
/* Reads file->path and its side file into it, and checks it. 0, 1 or negative. */
int reading_script(struct reading *, struct migration_file *);
/* A U file (undo_files.c). What is wrong with it becomes its refused; 0 or -ENOMEM. Then, once all is read, the end. */
int reading_undo(struct reading *, struct migration_file *);
void reading_undo_end(struct reading *);
/* What migration_files_read() gives back, when all is read; r: below 0 when that failed. */
int reading_end(struct reading *, int r, struct migration_files **ret, struct error **errs, uint32_t *n_errs);

#endif
