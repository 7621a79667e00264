#!/bin/sh
# SPDX-License-Identifier: MIT
# linux_smp.sh SVMEMU INIT DIRECTORY NORMAL_DIRECTORY: Debian's cloud kernel on 1, 4 and 16 vCPUs, through PVH and as a bzImage,
# to the init that loads every CPU (tests/guest/smp) and powers off; each twice, for the same output and counts. Once more on 4 with
# the generic handlers, for the same state, and with a processor on which Linux sleeps by HLT. The normal amd64 kernel too.
# The packages are fetched (not installed) once. SVMEMU_OFFLINE=1 skips (77) when they are not there yet.
set -eu
svmemu=$1 init=$2 dir=$3 normal_dir=$4
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$dir"
if ! cloud=$("$here/fetch_kernel.sh" "$dir") ||
    ! normal=$("$here/fetch_boot.sh" "$normal_dir" linux-image-amd64 'vmlinuz-*'); then
    [ "${SVMEMU_OFFLINE:-0}" = 1 ] || exit 1
    echo "skipped: no kernel and SVMEMU_OFFLINE=1"
    exit 77
fi
"$here/make_initrd.sh" "$init" "$dir/smp.cpio"

fail() { # NAME TEXT
    tail -n 40 "$dir/$1.txt"
    tail -n 20 "$dir/$1.err"
    echo "$1: $2" >&2
    exit 1
}
# The init's own lines are known to the letter, and it has read the whole log of the kernel but what comes after it.
boot() { # NAME KERNEL ENTRY VCPUS OPTIONS...
    name=$1 kernel=$2 entry=$3 vcpus=$4 status=0
    shift 4
    start=$(date +%s)
    timeout 600 "$svmemu" run --memory 256M --vcpus "$vcpus" --entry "$entry" --no-reboot --state-hash --stats=json "$@" \
        --initrd "$dir/smp.cpio" --cmdline "console=ttyS0 panic=-1 rdinit=/init -- cpus=$vcpus" \
        --max-insns 20000000000 --max-cycles 40000000000 "$kernel" </dev/null >"$dir/$name.out" 2>"$dir/$name.err" || status=$?
    echo "$name: status $status after $(($(date +%s) - start)) s"
    tr -d '\r' <"$dir/$name.out" >"$dir/$name.txt"
    [ "$status" -eq 0 ] || fail "$name" "status $status, expected 0 (power-off)"
    grep '^smp: ' "$dir/$name.txt" >"$dir/$name.lines" || true
    if [ "$vcpus" -eq 1 ]; then
        grep -v 'between CPUs' "$here/expect/smp.txt"
    else
        cat "$here/expect/smp.txt"
    fi | diff -u - "$dir/$name.lines" || fail "$name" "the init's lines differ"
    if grep -E 'WARNING|BUG|Oops|[Cc]all [Tt]race|lockup|stall|[Uu]nstable' "$dir/$name.txt"; then
        fail "$name" "complaints in the log"
    fi
    grep -q 'reboot: Power down' "$dir/$name.txt" || fail "$name" "the kernel did not power off"
    sed '/"seconds"\|"mips"/d' "$dir/$name.err" >"$dir/$name.counts"
    grep '^state hash: ' "$dir/$name.err" >"$dir/$name.hash"
}
for cpus in 1 4 16; do
    for start_by in pvh linux64; do
        run=smp-$start_by-$cpus
        boot "$run" "$cloud" $start_by $cpus
        boot "$run-again" "$cloud" $start_by $cpus
        cmp "$dir/$run.txt" "$dir/$run-again.txt"
        cmp "$dir/$run.counts" "$dir/$run-again.counts"
        echo "$run: two equal runs, $(grep '"instructions"' "$dir/$run.counts") $(cat "$dir/$run.hash")"
    done
done
boot smp-generic "$cloud" pvh 4 --engine generic
cmp "$dir/smp-pvh-4.txt" "$dir/smp-generic.txt"
cmp "$dir/smp-pvh-4.hash" "$dir/smp-generic.hash"
boot smp-barcelona "$cloud" linux64 4 --cpu barcelona
boot smp-normal "$normal" linux64 4
