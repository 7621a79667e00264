#!/bin/sh
# SPDX-License-Identifier: MIT
# linux_pvh.sh SVMEMU INIT DIRECTORY: boots Debian's packaged cloud kernel through PVH to the project's own init, twice, and
# wants the same output and the same number of instructions. The kernel package is fetched (not installed) once.
# SVMEMU_OFFLINE=1 skips (77) when the kernel is not there yet.
set -eu
svmemu=$1 init=$2 dir=$3
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$dir"

if ! kernel=$("$here/fetch_kernel.sh" "$dir"); then
    if [ "${SVMEMU_OFFLINE:-0}" = 1 ]; then
        echo "skipped: no kernel and SVMEMU_OFFLINE=1"
        exit 77
    fi
    exit 1
fi
"$here/make_initrd.sh" "$init" "$dir/initrd.cpio"

for run in 1 2; do
    status=0
    start=$(date +%s)
    timeout 600 "$svmemu" run --memory 256M --stats=json --initrd "$dir/initrd.cpio" \
        --cmdline 'console=ttyS0 panic=-1 rdinit=/init' --max-insns 4000000000 "$kernel" \
        >"$dir/run$run.out" 2>"$dir/run$run.err" </dev/null || status=$?
    echo "run $run: status $status after $(($(date +%s) - start)) s"
    if [ "$status" -ne 33 ]; then
        tail -n 40 "$dir/run$run.out"
        tail -n 40 "$dir/run$run.err"
        echo "expected status 33 (init wrote 10h to port F4h)" >&2
        exit 1
    fi
    # The count may stand on either stream; the name is that of the statistics' JSON.
    cat "$dir/run$run.out" "$dir/run$run.err" | grep -oE '"(instructions|insns)"[: ]*[0-9]+' | head -n 1 >"$dir/run$run.insns"
    # Host time is the one thing that may differ; leave the statistics (JSON lines) out of the comparison.
    sed '/^{/,/^}/d' "$dir/run$run.out" >"$dir/run$run.text"
done
grep 'init:' "$dir/run1.text"
grep -q 'init: RESULT: PASS' "$dir/run1.text" || { echo "init did not pass" >&2; exit 1; }
[ -s "$dir/run1.insns" ] || { echo "no instruction count in the statistics" >&2; exit 1; }
cmp "$dir/run1.insns" "$dir/run2.insns" || { cat "$dir/run1.insns" "$dir/run2.insns"; exit 1; }
cmp "$dir/run1.text" "$dir/run2.text"
echo "both runs: $(cat "$dir/run1.insns"), output identical ($(wc -l <"$dir/run1.text") lines)"
