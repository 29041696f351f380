#!/bin/bash
# SPDX-License-Identifier: PostgreSQL
# dbreconcilectl against recorded documents. Skipped where pytest or jsonschema is missing.
python=/usr/bin/python3
"$python" -c 'import pytest, jsonschema' 2>/dev/null || exit 77
top_builddir=$(cd "$top_builddir" && pwd) PYTHONDONTWRITEBYTECODE=1 exec "$python" -m pytest -q --tb=short -p no:cacheprovider "$top_srcdir/tests/ctl"
