#!/bin/bash
# SPDX-License-Identifier: PostgreSQL
# The units are what systemd accepts, are as confined as they claim, and the journal's catalog explains every event.
set -u
src=${top_srcdir:-.} build=${top_builddir:-.}
command -v systemd-analyze > /dev/null || { echo "skipped: systemd-analyze is not installed"; exit 77; }
scratch=$(mktemp -d) && trap 'rm -rf "$scratch"' EXIT
failed=0
fail() { echo "FAILED: $*"; failed=1; }

# verify wants the programs to be there: the units name files of this build.
make -s -C "$build" systemd/dbreconciled.service systemd/dbreconciled-control.socket systemd/dbreconciled-metrics.socket \
	systemd/sysusers.d/dbreconcile.conf systemd/tmpfiles.d/dbreconcile.conf || exit 1
touch "$scratch/program" && chmod +x "$scratch/program"
for unit in dbreconciled.service dbreconciled-control.socket dbreconciled-metrics.socket; do
	grep -q '@[a-z]*@' "$build/systemd/$unit" && fail "$unit: a directory was not filled in"
	sed -E "s|^(Exec[A-Za-z]+)=[^ ]+|\\1=$scratch/program|; /^Documentation=/d" "$build/systemd/$unit" > "$scratch/$unit"
done
out=$(SYSTEMD_UNIT_PATH="$scratch:" systemd-analyze verify --man=no --recursive-errors=no "$scratch"/dbreconciled.service \
	"$scratch"/dbreconciled-control.socket "$scratch"/dbreconciled-metrics.socket 2>&1) || fail "systemd-analyze verify: $out"
printf '%s\n' "$out" | grep "$scratch" && fail "systemd-analyze verify has something to say"

systemd-analyze security --offline=true --threshold=15 --no-pager "$scratch/dbreconciled.service" > "$scratch/security" 2>&1 ||
	fail "exposure over 1.5: $(tail -n 1 "$scratch/security")"
tail -n 1 "$scratch/security"

if command -v systemd-sysusers > /dev/null; then
	mkdir -p "$scratch/root/etc"
	systemd-sysusers --root="$scratch/root" "$(realpath "$build")/systemd/sysusers.d/dbreconcile.conf" 2>&1 || fail "sysusers.d"
	for group in dbreconcile dbreconcile-admin dbreconcile-metrics; do
		grep -q "^$group:" "$scratch/root/etc/group" || fail "sysusers.d makes no group $group"
	done
	grep -q "^dbreconcile:" "$scratch/root/etc/passwd" || fail "sysusers.d makes no user"
fi

in_code=$(sed -nE 's/^#define MESSAGE_[A-Z_]+ +"([0-9a-f]{32})".*/\1/p' "$src/src/base/message.h" | sort)
in_catalog=$(sed -nE 's/^-- ([0-9a-f]{32})$/\1/p' "$src/systemd/dbreconcile.catalog" | sort)
[ -n "$in_code" ] && [ "$in_code" = "$in_catalog" ] || fail "src/base/message.h and systemd/dbreconcile.catalog differ"
[ -z "$(printf '%s\n' "$in_code" | uniq -d)" ] || fail "a MESSAGE_ID stands twice"
for name in $(sed -nE 's/^#define (MESSAGE_[A-Z_]+) +".*/\1/p' "$src/src/base/message.h"); do
	grep -rqw "$name" "$src/src" --include='*.c' || fail "$name is sent by nobody"
done
if command -v journalctl > /dev/null; then
	mkdir -p "$scratch/journal/usr/lib/systemd/catalog" "$scratch/journal/var/lib/systemd/catalog"
	cp "$src/systemd/dbreconcile.catalog" "$scratch/journal/usr/lib/systemd/catalog/"
	journalctl --root="$scratch/journal" --update-catalog 2>&1 | grep -i "dbreconcile.catalog" && fail "journalctl does not like the catalog"
fi
exit $failed
