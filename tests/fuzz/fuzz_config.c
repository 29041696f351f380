/* SPDX-License-Identifier: PostgreSQL */
/*
 * Fuzz target: configuration files. The first byte says which: 'm' a manifest,
 * anything else the daemon's file; the rest is the file. What is accepted must
 * print as something that is accepted and prints the same.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <talloc.h>

#include "config/load.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool what)
{
	if (!what)
		abort();
}

static char *print(void *mem, const struct settings *settings, bool manifest)
{
	return manifest ? manifest_print(mem, &settings->manifests[0]) : config_print(mem, settings);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	void *mem = talloc_new(NULL);
	struct config_errors *errors;
	struct settings *settings, *again;
	bool manifest = size > 0 && data[0] == 'm';
	size_t len = size > 0 ? size - 1 : 0;
	char *text = talloc_zero_size(mem, len + 1);

	if (len > 0)
		memcpy(text, data + 1, len);
	int rc = config_load_text(mem, text, len, manifest, &settings, &errors);
	must(rc == (errors->n > 0));
	if (rc == 0) {
		char *first = print(mem, settings, manifest);

		must(config_load_text(mem, first, strlen(first), manifest, &again, &errors) == 0);
		must(strcmp(first, print(mem, again, manifest)) == 0);
	}
	talloc_free(mem);
	return 0;
}
