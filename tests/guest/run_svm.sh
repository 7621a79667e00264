#!/bin/sh
# SPDX-License-Identifier: MIT
# run_svm.sh SVMEMU GUEST [OPTION...]: a guest that judges itself (tests/guest/svm) passes on every engine, with the same state hash.
set -u
svmemu=$1 guest=$2
shift 2
out=$(mktemp) || exit 1
trap 'rm -f "$out" "$out.err"' EXIT
want=
for engine in full generic walk step; do
    timeout 60 "$svmemu" run --engine "$engine" --state-hash --memory 32M --max-insns 200000000 "$@" "$guest" >"$out" 2>"$out.err" </dev/null
    status=$?
    hash=$(sed -n 's/^state hash: //p' "$out.err" | tail -n 1)
    if [ "$status" -ne 33 ] || grep -q FAILED "$out" || ! grep -q 'RESULT: PASS' "$out"; then
        cat "$out" "$out.err" >&2
        echo "engine $engine: status $status, expected 33" >&2
        exit 1
    fi
    [ -z "$want" ] && cat "$out" && want=$hash
    if [ -z "$hash" ] || [ "$hash" != "$want" ]; then
        echo "engine $engine: state hash $hash, full has $want" >&2
        exit 1
    fi
done
