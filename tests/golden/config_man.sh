#!/bin/bash
# SPDX-License-Identifier: PostgreSQL
# The reference in the man pages is what config_man prints from the tables that read the files; UPDATE=1 writes it anew.
# Both pages pass mandoc's lint where mandoc is installed.
set -u
export LC_ALL=C
top=$(cd "${top_srcdir:-.}" && pwd)
man=$(cd "${top_builddir:-.}" && pwd)/tests/golden/config_man
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failures=0

check() {
	local page=$top/man/$2
	if ! "$man" "$1" >"$work/table" || ! [ -s "$work/table" ]; then
		echo "FAIL config_man $1"
		failures=$((failures + 1))
		return
	fi
	awk -v table="$work/table" '
		/^\.\\" END OF THE TABLE/ { skip = 0 }
		!skip { print }
		/^\.\\" TABLE OF OPTIONS/ { while ((getline line < table) > 0) print line; skip = 1; found = 1 }
		END { exit !found }' "$page" >"$work/page" || { echo "FAIL $2: no place for the table"; failures=$((failures + 1)); }
	if [ "${UPDATE:-0}" = 1 ]; then
		cmp -s "$work/page" "$page" || cp "$work/page" "$page"
	elif ! diff -u "$page" "$work/page"; then
		echo "FAIL $2: the table differs (make update-golden)"
		failures=$((failures + 1))
	fi
	# that the other pages are not installed is no mistake of this one
	if command -v mandoc >"$work/which" && mandoc -Tlint -W style "$page" | grep -v "referenced manual not found"; then
		echo "FAIL $2: lint"
		failures=$((failures + 1))
	fi
}

check daemon dbreconciled.conf.5
check manifest dbreconcile-manifest.5
[ "$failures" -eq 0 ]
