#!/bin/sh
# SPDX-License-Identifier: MIT
# run.sh FUZZER CORPUS WORK RUNS: replays the corpus, then runs RUNS cases from a fixed seed in WORK. Prints libFuzzer's coverage (cov, ft)
# and the target's own report. An input that fails is left in WORK, and the command that runs it again is printed.
set -u
fuzzer=$1 corpus=$2 work=$3 runs=$4
rm -rf "$work"
mkdir -p "$work/corpus"
status=0
"$fuzzer" -runs="$runs" -seed=1 -max_len=1024 -timeout=60 -print_final_stats=1 -artifact_prefix="$work/" "$work/corpus" "$corpus" \
    >"$work/log" 2>&1 || status=$?
grep -E '^#[0-9]+[[:space:]]+(INITED|pulse|DONE)' "$work/log"
if [ $status -eq 0 ]; then
    sed -n '/^Done /,$p' "$work/log"
    done=$(sed -n 's/^stat::number_of_executed_units: *//p' "$work/log")
    [ "${done:-0}" -ge "$runs" ] || { echo "only ${done:-0} executions of $runs" >&2; status=1; }
else
    tail -n 60 "$work/log"
    for f in "$work"/crash-* "$work"/timeout-* "$work"/oom-* "$work"/leak-*; do
        [ -e "$f" ] && echo "again: $fuzzer $f"
    done
fi
exit $status
