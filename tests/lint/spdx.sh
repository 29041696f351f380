#!/bin/bash
# SPDX-License-Identifier: PostgreSQL
# Every file that we wrote carries its licence in one of its first two lines. Test data and what has no comments does not.
. "$(dirname "$0")/lib.sh"

files() {
	local places=()
	for place in src include tests tools etc man systemd migrations docs .ci Makefile.am packaging.mk configure.ac; do
		[ ! -e "$place" ] || places+=("$place")
	done
	find "${places[@]}" -type f ! -path '*/golden/*' ! -path '*/corpus/*' ! -path '*/data/*' ! -path '*/__pycache__/*' ! -name .gitkeep \
		\( -name '*.[ch1-8]' -o -name '*.in' -o -name '*.inc' -o -name '*.am' -o -name '*.ac' -o -name '*.mk' -o -name '*.sh' -o -name '*.py' \
		-o -name '*.conf' -o -name '*.sql' -o -name '*.ini' -o -name '*.service' -o -name '*.socket' -o -name '*.timer' -o -name '*.yaml' -o -name '*.yml' \
		-o ! -name '*.*' -o -path './.ci/*' \) | LC_ALL=C sort
}
[ -n "$(files)" ] || exit 99
while read -r file; do
	head -n 2 "$file" | grep -q 'SPDX-License-Identifier: PostgreSQL' || found "$file:1: no SPDX-License-Identifier line"
done < <(files)
finish
