#!/bin/sh
# SPDX-License-Identifier: MIT
# linux_boot.sh SVMEMU INIT DIRECTORY: Debian's cloud kernel as a bzImage that unpacks itself, by each entry of the boot protocol, to the
# project's own init; the 64-bit one twice, for the same output and state.
# SVMEMU_OFFLINE=1 skips (77) when the kernel is not there yet.
set -eu
svmemu=$1 init=$2 dir=$3
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$dir"
if ! kernel=$("$here/fetch_kernel.sh" "$dir"); then
    [ "${SVMEMU_OFFLINE:-0}" = 1 ] || exit 1
    echo "skipped: no kernel and SVMEMU_OFFLINE=1"
    exit 77
fi
"$here/make_initrd.sh" "$init" "$dir/initrd-boot.cpio"
printf 'a seed for the random generator' >"$dir/seed"

boot() { # NAME ENTRY
    status=0
    timeout 600 "$svmemu" run "$kernel" --memory 256M --entry "$2" --state-hash --initrd "$dir/initrd-boot.cpio" \
        --setup-data "9,$dir/seed" --append 'console=ttyS0 panic=-1 rdinit=/init' --max-insns 4000000000 \
        </dev/null >"$dir/$1.out" 2>"$dir/$1.err" || status=$?
    [ "$status" -eq 33 ] && grep -q 'init: RESULT: PASS' "$dir/$1.out" && return
    tail -n 40 "$dir/$1.out"
    cat "$dir/$1.err"
    echo "$1: status $status, expected 33 and a passing init" >&2
    exit 1
}
for entry in linux64 linux32 linux16; do
    boot "boot-$entry" $entry
    grep -q 'BIOS-e820: \[mem 0x0000000000100000-0x000000000fffffff\] usable' "$dir/boot-$entry.out" ||
        { head -n 20 "$dir/boot-$entry.out"; echo "$entry: another memory map" >&2; exit 1; }
    if grep -E 'WARNING|BUG|Oops|Call Trace|KASLR disabled' "$dir/boot-$entry.out"; then exit 1; fi
    echo "$entry: $(grep 'state hash' "$dir/boot-$entry.err")"
done
boot boot-again linux64
cmp "$dir/boot-again.out" "$dir/boot-linux64.out"
cmp "$dir/boot-again.err" "$dir/boot-linux64.err"
echo "linux64 twice: equal"
