#!/bin/bash
# SPDX-License-Identifier: PostgreSQL
# Python takes the last of two functions with one name and says nothing: the test above it never runs.
. "$(dirname "$0")/lib.sh"

# shellcheck disable=SC2016  # awk's variables
twice() {
	find tests -name '*.py' | LC_ALL=C sort | xargs -r awk '
		FNR == 1 { split("", seen) }
		/^(def|class) / {
			name = $2
			sub(/[(:].*/, "", name)
			if (name in seen)
				printf "%s:%d: %s stands in line %d already\n", FILENAME, FNR, name, seen[name]
			seen[name] = FNR
		}'
}
report twice
finish
