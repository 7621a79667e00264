#!/bin/sh
# SPDX-License-Identifier: MIT
# small_stack.sh SVMEMU GUEST: more than a billion instructions on a host stack of 64 KiB (tail calls really are jumps).
set -eu
ulimit -s 64
status=0
"$1" run --memory 64M --max-insns 1500000000 "$2" >/dev/null || status=$?
[ "$status" -eq 6 ] || [ "$status" -eq 33 ] || { echo "status $status" >&2; exit 1; }
