/* SPDX-License-Identifier: PostgreSQL */
/*
 * config_dump FILE...: each configuration as the program understood it (the
 * effective settings, then every manifest), or why it refused it. What the
 * golden tests of tests/golden/config compare. Exit: 0 loaded, 1 refused.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <talloc.h>

#include "config/load.h"

static int dump(const char *file)
{
	void *ctx = talloc_new(NULL);
	struct config_paths paths = { .file = file };
	struct config_errors *errors;
	struct settings *settings;
	int rc = config_load(ctx, &paths, &settings, &errors);

	if (rc == 0) {
		fputs(config_print(ctx, settings), stdout);
		for (uint32_t i = 0; i < settings->n_manifests; i++)
			printf("\n#--- %s\n%s", settings->manifests[i].name, manifest_print(ctx, &settings->manifests[i]));
	} else {
		config_errors_print(errors, stdout);
	}
	talloc_free(ctx);
	return rc != 0;
}

int main(int argc, char **argv)
{
	int result = 0;

	if (argc < 2) {
		fprintf(stderr, "usage: config_dump FILE...\n");
		return 2;
	}
	for (int i = 1; i < argc; i++)
		result |= dump(argv[i]);
	return result;
}
