#!/bin/sh
# SPDX-License-Identifier: MIT
# xen.sh SVMEMU INIT DIRECTORY: Debian's Xen 4.17 by Multiboot, Debian's kernel as its PV dom0, the init that loads every CPU
# (tests/guest/smp) in it, and power-off through Xen's ACPI; with 1 and with 4 vCPUs. Xen says that SVM and nested paging are there
# for its own guests. Then its first steps by Multiboot 2, which moves it, and with the memory map from INT 15h in real mode.
# The packages are fetched (not installed) once. SVMEMU_OFFLINE=1 skips (77) when they are not there yet.
set -eu
svmemu=$1 init=$2 dir=$3
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$dir"
if ! xen=$("$here/fetch_boot.sh" "$dir" xen-hypervisor-4.17-amd64 'xen-4.17-amd64.gz') ||
    ! kernel=$("$here/fetch_boot.sh" "$dir" linux-image-amd64 'vmlinuz-*'); then
    [ "${SVMEMU_OFFLINE:-0}" = 1 ] || exit 1
    echo "skipped: no Xen or kernel and SVMEMU_OFFLINE=1"
    exit 77
fi
"$here/make_initrd.sh" "$init" "$dir/initrd.cpio"

real_mode=no-real-mode
# boot VCPUS NAME OPTIONS...: leaves the status in $status
boot() {
    vcpus=$1 name=$2
    shift 2
    status=0
    timeout 600 "$svmemu" run --memory 1G --vcpus "$vcpus" --no-exit-port --no-reboot "$@" \
        --cmdline "$real_mode"' console=com1 com1=115200,8n1,0x3f8,4 loglvl=all guest_loglvl=all noreboot dom0_mem=512M' \
        --module "$kernel,console=hvc0 panic=-1 rdinit=/init -- cpus=$vcpus xen" --module "$dir/initrd.cpio" "$xen" \
        </dev/null >"$dir/$name.out" 2>"$dir/$name.err" || status=$?
    tr -d '\r' <"$dir/$name.out" >"$dir/$name.txt"
}
fail() {
    tail -n 60 "$dir/$1.txt"
    tail -n 20 "$dir/$1.err"
    echo "$2" >&2
    exit 1
}
check() { # VCPUS
    name=run$1
    start=$(date +%s)
    boot "$1" "$name" --max-insns 12000000000
    echo "$1 vCPUs: status $status after $(($(date +%s) - start)) s"
    [ "$status" -eq 0 ] || fail "$name" "status $status, expected 0 (power-off)"
    while read -r line; do
        grep -qF "$line" "$dir/$name.txt" || fail "$name" "missing: $line"
    done <<END
(XEN) HVM: SVM enabled
(XEN) HVM: Hardware Assisted Paging (HAP) detected
(XEN)  - Nested Page Tables (NPT)
(XEN) *** Building a PV Dom0 ***
(XEN) Dom0 has maximum $1 VCPUs
smp: Brought up 1 node, $1 CPU
(XEN) Entering ACPI S5 state.
END
    # The init's lines to the letter, but what Xen does itself or keeps from dom0.
    grep '^smp: ' "$dir/$name.txt" >"$dir/$name.lines" || true
    besides='APIC IDs|calendar clock|shoot-down interrupts|serial port|no spurious'
    [ "$1" -gt 1 ] || besides="$besides|between CPUs"
    grep -vE "$besides" "$here/expect/smp.txt" | diff -u - "$dir/$name.lines" || fail "$name" "the init's lines differ"
    if [ "$1" -gt 1 ]; then
        grep -qF "(XEN) Brought up $1 CPUs" "$dir/$name.txt" || fail "$name" "Xen did not bring up $1 CPUs"
    fi
    # What Xen or Linux print when something is wrong with the machine.
    if grep -E 'Mismatch|BUG|Oops|[Cc]all [Tt]race|lockup|detected stall|stalls on|Unhandled|unstable|panic:|Xen WARN' \
        "$dir/$name.txt"; then
        fail "$name" "complaints in the log"
    fi
}
check 1
check 4
# Two runs are one: the first instructions, with all processors up.
for run in 1 2; do
    boot 4 "same$run" --max-insns 700000000 --state-hash
    [ "$status" -eq 6 ] || fail "same$run" "status $status, expected 6 (the limit)"
done
grep -q 'Brought up 4 CPUs' "$dir/same1.txt" || fail same1 "the limit came before the processors"
cmp "$dir/same1.txt" "$dir/same2.txt"
cmp "$dir/same1.err" "$dir/same2.err"
echo "two runs of the first 700 M instructions with 4 vCPUs are equal: $(grep 'state hash' "$dir/same1.err")"
# first NAME LINES OPTIONS...: the first instructions print these lines
first() {
    name=$1 texts=$2
    shift 2
    boot 1 "$name" --max-insns 100000000 "$@"
    [ "$status" -eq 6 ] || fail "$name" "status $status, expected 6 (the limit)"
    echo "$texts" | while read -r line; do
        grep -qF "$line" "$dir/$name.txt" || fail "$name" "missing: $line"
    done
    echo "$name: $texts"
}
first multiboot2 'Xen image load base address: 0x3fa00000
Bootloader: svmemu
Multiboot-e820 RAM map:
[0000000000100000, 000000003fffffff] (usable)' --entry multiboot2
real_mode=
first real-mode 'Xen-e820 RAM map:
[0000000000100000, 000000003fffffff] (usable)
[00000000fee00000, 00000000fee00fff] (reserved)'
