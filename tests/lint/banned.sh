#!/bin/bash
# SPDX-License-Identifier: PostgreSQL
# Functions that overflow, that cannot report an error, or that start a shell.
. "$(dirname "$0")/lib.sh"

# shellcheck disable=SC2016  # perl's variables
banned() {
	find src include tests -name '*.[ch]' | LC_ALL=C sort | xargs perl -e "$blank_c"'
		my $names = qr/sprintf|vsprintf|strcpy|stpcpy|strcat|strncpy|strncat|gets|atoi|atol|atoll|atof|strtok|alloca|system|popen|tmpnam|mktemp|localtime|gmtime|ctime|asctime/;
		for my $file (@ARGV) {
			my $text = blank_c(slurp($file));
			while ($text =~ /(?<![\w.>])($names)\s*\(/g) {
				printf "%s:%d: %s() is banned\n", $file, line_of($text, $-[1]), $1;
			}
		}'
}
report banned
finish
