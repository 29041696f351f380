#!/bin/bash
# SPDX-License-Identifier: PostgreSQL
# Every folder of tests/golden/config: good ones load, print what stands in "expected", and what they print loads and prints the
# same again; bad ones are refused with exactly the errors of "expected". Every configuration of etc/ loads.
# The daemon's own -t, which is linked with more than the core, says yes and no where the core does.
# UPDATE=1 writes "expected" anew (make update-golden): review the difference like code.
set -u
export LC_ALL=C
unset CONFIG_DIR RUNTIME_DIRECTORY STATE_DIRECTORY DBR_TEST_UNSET
export DBR_TEST_VALUE=from-the-environment DBR_TEST_EMPTY=
top=$(cd "${top_srcdir:-.}" && pwd)
build=$(cd "${top_builddir:-.}" && pwd)
dump=$build/tests/golden/config_dump
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cases=0 failures=0

fail() {
	failures=$((failures + 1))
	echo "FAIL $1: $2"
}

# A copy with safe modes, whatever the umask of the checkout was.
prepare() {
	rm -rf "$work/case"
	(umask 022 && cp -R "$1" "$work/case" && chmod -R u+w,go-w "$work/case")
	rm -f "$work/case/expected"
	if [ -f "$work/case/setup" ]; then
		(cd "$work/case" && umask 022 && sh ./setup)
	fi
}

run() {
	"$dump" "$1" >"$work/output" 2>"$work/stderr"
	status=$?
	sed -e "s|$work/case|@DIR@|g" "$work/output" >"$work/actual"
	[ -s "$work/stderr" ] && fail "$1" "wrote to stderr: $(head -3 "$work/stderr")"
	return $status
}

compare() {
	if [ "${UPDATE:-0}" = 1 ]; then
		cp "$work/actual" "$1/expected"
	elif ! diff -u "$1/expected" "$work/actual" >"$work/diff" 2>&1; then
		fail "$1" "differs from expected"
		cat "$work/diff"
	fi
}

# $1: the case; $2: the exit code of the daemon. Of a main file that is not there it says more than the core.
daemon_says() {
	"$build/dbreconciled" -t -c "$work/case/dbreconciled.conf" >"$work/said" 2>&1
	status=$?
	[ $status = "$2" ] || fail "$1" "dbreconciled -t ended with $status: $(head -3 "$work/said")"
	[ "$2" = 0 ] || [ "$(basename "$1")" = missing-main-file ] ||
		sed -e "s|$work/case|@DIR@|g" "$work/said" | diff -u "$1/expected" - || fail "$1" "dbreconciled -t says something else"
}

# What was printed is a configuration again, and printing that changes nothing.
round_trip() {
	mkdir -p "$work/again"
	rm -rf "$work/again"/*
	sed -n '/^#---/q;p' "$work/output" >"$work/again/dbreconciled.conf"
	chmod 0600 "$work/again/dbreconciled.conf"
	cp "$work/output" "$work/first"
	"$dump" "$work/again/dbreconciled.conf" >"$work/second" || fail "$1" "what was printed does not load: $(head -3 "$work/second")"
	cmp -s "$work/first" "$work/second" || fail "$1" "printing twice differs: $(diff "$work/first" "$work/second" | head -5)"
	# and so are the manifests
	awk -v dir="$work/case/manifests" '/^#---/ { file = dir "/" $2 ".conf"; printf "" > file; next } file { print >> file }' "$work/output"
	"$dump" "$work/again/dbreconciled.conf" >"$work/third" || fail "$1" "a manifest as it was printed does not load: $(head -3 "$work/third")"
	cmp -s "$work/first" "$work/third" || fail "$1" "printing a manifest twice differs: $(diff "$work/first" "$work/third" | head -5)"
}

for case in "$top"/tests/golden/config/good/*/; do
	case=${case%/} cases=$((cases + 1))
	prepare "$case"
	run "$work/case/dbreconciled.conf" || fail "$case" "was refused"
	compare "$case"
	daemon_says "$case" 0
	[ -f "$case/no-round-trip" ] || round_trip "$case"
done
for case in "$top"/tests/golden/config/bad/*/; do
	case=${case%/} cases=$((cases + 1))
	prepare "$case"
	run "$work/case/dbreconciled.conf" && fail "$case" "was accepted"
	[ -s "$work/actual" ] || fail "$case" "was refused without a reason"
	grep -q hunter2 "$work/actual" && fail "$case" "shows a secret"
	compare "$case"
	daemon_says "$case" 6
done
export QUICKSTART_DIR="$work/case" QUICKSTART_HOST=/tmp
for file in "$top"/etc/dbreconciled.conf "$top"/etc/examples/*/dbreconciled.conf; do
	[ -f "$file" ] || continue
	cases=$((cases + 1))
	prepare "$(dirname "$file")"
	run "$work/case/dbreconciled.conf" || fail "$file" "was refused: $(cat "$work/actual")"
done
echo "$cases cases, $failures failures"
[ "$cases" -gt 100 ] && [ "$failures" -eq 0 ]
