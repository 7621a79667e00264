#!/bin/sh
# SPDX-License-Identifier: MIT
# linux_smp.sh SVMEMU INIT DIRECTORY NORMAL_DIRECTORY: Debian's cloud kernel on 1, 4 and 16 vCPUs, through PVH and as a bzImage,
# to the init that loads every CPU (tests/guest/smp) and powers off; each twice, for the same output and counts. The normal amd64
# kernel, as a bzImage on 4 vCPUs, too.
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
boot() { # NAME KERNEL ENTRY VCPUS
    status=0
    start=$(date +%s)
    timeout 600 "$svmemu" run --memory 256M --vcpus "$4" --entry "$3" --no-reboot --stats=json --initrd "$dir/smp.cpio" \
        --cmdline "console=ttyS0 panic=-1 rdinit=/init -- cpus=$4" --max-insns 20000000000 "$2" \
        </dev/null >"$dir/$1.out" 2>"$dir/$1.err" || status=$?
    echo "$1: status $status after $(($(date +%s) - start)) s"
    tr -d '\r' <"$dir/$1.out" >"$dir/$1.txt"
    [ "$status" -eq 0 ] || fail "$1" "status $status, expected 0 (power-off)"
    grep '^smp: ' "$dir/$1.txt" >"$dir/$1.lines" || true
    if [ "$4" -eq 1 ]; then
        grep -v 'between CPUs' "$here/expect/smp.txt"
    else
        cat "$here/expect/smp.txt"
    fi | diff -u - "$dir/$1.lines" || fail "$1" "the init's lines differ"
    if grep -E 'WARNING|BUG|Oops|[Cc]all [Tt]race|lockup|stall|[Uu]nstable' "$dir/$1.txt"; then
        fail "$1" "complaints in the log"
    fi
    grep -q 'reboot: Power down' "$dir/$1.txt" || fail "$1" "the kernel did not power off"
    sed '/"seconds"\|"mips"/d' "$dir/$1.err" >"$dir/$1.counts"
}
for vcpus in 1 4 16; do
    for entry in pvh linux64; do
        name=smp-$entry-$vcpus
        boot "$name" "$cloud" $entry $vcpus
        boot "$name-again" "$cloud" $entry $vcpus
        cmp "$dir/$name.txt" "$dir/$name-again.txt"
        cmp "$dir/$name.counts" "$dir/$name-again.counts"
        echo "$name: two equal runs, $(grep '"instructions"' "$dir/$name.counts")"
    done
done
boot smp-normal "$normal" linux64 4
