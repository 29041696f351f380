#!/bin/bash
# SPDX-License-Identifier: PostgreSQL
# The core library needs no server, no event loop, no systemd and no database file: it has no undefined symbol of theirs.
# $1: the library, default libcore.a of the build directory.
library=${1:-${top_builddir:-.}/libcore.a}
[ -f "$library" ] || { echo "$library is not there"; exit 99; }
symbols=$(nm -u "$library" 2>/dev/null) || { echo "nm cannot read $library"; exit 99; }
bad=$(printf '%s\n' "$symbols" | grep -E '^[^:]*:$|^ +U (PQ[a-z]|pqsignal|lo_|event_|event_base|ev(http|buffer|dns|util|timer|connlistener|signal)_|bufferevent_|sd_[a-z]|sqlite3_|curl_|scols_)' |
	awk '/:$/ { member = $0; next } { print member " " $2 }')
[ -z "$bad" ] || { printf 'the core may not need these:\n%s\n' "$bad"; exit 1; }
# A name that two members define is linked in one place only, whichever comes first: the calls of the other get it too.
twice=$(for name in libcore.a libdaemon.a; do
	[ ! -f "$(dirname "$library")/$name" ] || nm -g --defined-only "$(dirname "$library")/$name" 2>/dev/null
done | awk 'NF == 3 && $2 != "W" && $2 != "V" { print $3 }' | sort | uniq -d)
[ -z "$twice" ] || { printf 'these are defined twice:\n%s\n' "$twice"; exit 1; }
