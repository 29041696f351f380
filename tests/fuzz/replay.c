/* SPDX-License-Identifier: PostgreSQL */
/*
 * Runs a fuzz target over its corpus, tests/fuzz/corpus/NAME for a program
 * fuzz_NAME, without a fuzzer: each file as it is, and cut at every byte. With
 * arguments: over those files.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static unsigned replay(const char *path)
{
	FILE *in = fopen(path, "rb");
	uint8_t *data, *cut;
	long size;

	if (!in || fseek(in, 0, SEEK_END) || (size = ftell(in)) < 0 || fseek(in, 0, SEEK_SET)) {
		perror(path);
		exit(1);
	}
	data = malloc((size_t)size + 1);
	if (!data || fread(data, 1, (size_t)size, in) != (size_t)size) {
		perror(path);
		exit(1);
	}
	fclose(in);
	for (long len = size < 4096 ? 0 : size; len <= size; len++) {
		cut = malloc((size_t)len + !len);       /* its own block, so that reading past the end is seen */
		if (!cut)
			exit(1);
		memcpy(cut, data, (size_t)len);
		LLVMFuzzerTestOneInput(cut, (size_t)len);
		free(cut);
	}
	free(data);
	return 1;
}

int main(int argc, char **argv)
{
	const char *srcdir = getenv("top_srcdir"), *name = strstr(argv[0], "fuzz_");
	char dir[512], path[1024];
	struct dirent *entry;
	unsigned n = 0;
	DIR *corpus;

	for (int i = 1; i < argc; i++)
		replay(argv[i]);
	if (argc > 1)
		return 0;
	for (const char *more = name; more && (more = strstr(more + 1, "fuzz_")); )
		name = more;
	snprintf(dir, sizeof dir, "%s/tests/fuzz/corpus/%s", srcdir ? srcdir : ".", name ? name + 5 : "");
	corpus = opendir(dir);
	if (!corpus) {
		perror(dir);
		return 1;
	}
	while ((entry = readdir(corpus)))
		if (entry->d_name[0] != '.') {
			snprintf(path, sizeof path, "%s/%s", dir, entry->d_name);
			n += replay(path);
		}
	closedir(corpus);
	printf("%u files of %s\n", n, dir);
	return n ? 0 : 1;
}
