#!/bin/sh
# SPDX-License-Identifier: MIT
# run_example.sh SVMEMU GUEST EXPECTED: runs a guest and compares its serial output and its end (status 33 = passed).
# The expected texts were taken from the same guests under another SVM implementation (docs/TESTING.md).
set -u
svmemu=$1 guest=$2 expected=$3
out=$(mktemp) || exit 1
trap 'rm -f "$out" "$out.clean"' EXIT
timeout 60 "$svmemu" run --memory 256M --max-insns 200000000 "$guest" >"$out" </dev/null
status=$?
tr -d '\r' <"$out" >"$out.clean"
if ! diff -u "$expected" "$out.clean"; then
    echo "output differs (status $status)" >&2
    exit 1
fi
if [ "$status" -ne 33 ]; then
    echo "status $status, expected 33" >&2
    exit 1
fi
