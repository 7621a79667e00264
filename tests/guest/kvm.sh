#!/bin/sh
# SPDX-License-Identifier: MIT
# kvm.sh SVMEMU INIT DIRECTORY [once|avic|VCPUS]: the KVM demonstration. Debian's cloud kernel loads its own kvm-amd module and runs virtual
# machines (tests/guest/kvm) with nested and with shadow paging. Without a fourth argument it is the test: a host of 1 vCPU twice,
# with equal output and counts, and hosts of 2 and 4 vCPUs; "once" is the test's short form for slow builds, a host of 2 vCPUs; "avic" lets
# KVM use AVIC for the machines with a local APIC, on the first processor that has it and, with x2AVIC besides, on profile max. With VCPUS
# it runs on a host of so many and prints everything. Needs the kernel package (fetched, not installed); SVMEMU_OFFLINE=1 skips (77) when it
# is not there yet.
set -eu
svmemu=$1 init=$2 dir=$3 only=${4:-}
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$dir"
if ! kernel=$("$here/fetch_kernel.sh" "$dir"); then
    [ "${SVMEMU_OFFLINE:-0}" = 1 ] || exit 1
    echo "skipped: no kernel and SVMEMU_OFFLINE=1"
    exit 77
fi
modules=$dir/root/lib/modules/${kernel##*/vmlinuz-}/kernel
"$here/make_initrd.sh" "$init" "$dir/kvm.cpio" "$modules/virt/lib/irqbypass.ko" "$modules/arch/x86/kvm/kvm.ko" \
    "$modules/arch/x86/kvm/kvm-amd.ko"

boot() { # VCPUS [OPTION...]
    vcpus=$1
    shift
    timeout 600 "$svmemu" run --memory 256M --vcpus "$vcpus" --stats=json --initrd "$dir/kvm.cpio" \
        --cmdline "console=ttyS0 panic=-1 rdinit=/init$arguments" --max-insns 6000000000 "$@" "$kernel" </dev/null
}
arguments=
expect=kvm.txt
exits='NPF IOIO VINTR INVLPG TASK_SWITCH CPUID' # both kinds of paging really ran under SVM
case $only in
'' | once) ;;
avic)
    arguments=' mitigations=off -- avic' # Zen 1 without its microcode updates has a warning of them
    expect=kvm_avic.txt
    exits='NPF IOIO AVIC_NOACCEL AVIC_INCOMPLETE_IPI'
    ;;
*)
    boot "$only"
    exit
    ;;
esac

fail() { # NAME TEXT
    tail -n 40 "$dir/$1.txt"
    tail -n 40 "$dir/$1.err"
    echo "$2" >&2
    exit 1
}
check() { # NAME VCPUS [OPTION...]
    name=$1
    shift
    status=0
    start=$(date +%s)
    boot "$@" >"$dir/$name.out" 2>"$dir/$name.err" || status=$?
    echo "$name: host of $1 vCPUs: status $status after $(($(date +%s) - start)) s"
    set -- "$name"
    tr -d '\r' <"$dir/$1.out" >"$dir/$1.txt"
    [ "$status" -eq 0 ] || fail "$1" "status $status, expected 0 (power-off)"
    # The demonstration's own lines: every check that the guests' sources name, passed, in their order.
    grep -E '^(host|(npt|avic)=[01], [12] vCPUs?(, APIC)?|kvm demonstration): |^hello from ' "$dir/$1.txt" >"$dir/$1.lines" || true
    diff -u "$here/expect/$expect" "$dir/$1.lines" || fail "$1" "the demonstration's output differs"
    # What Linux prints when something is wrong with it or with its processors and clocks.
    if grep -E '[Cc]all [Tt]race|WARNING:|BUG:|Oops|lockup|stall|general protection|unchecked MSR|Unhandled|unhandled|disabled by bios|[Uu]nstable|warp|hrtimer: interrupt took|panic - not|kvm.*(error|fail)' \
        "$dir/$1.txt"; then
        fail "$1" "complaints in the host's log"
    fi
    grep -q 'Power down' "$dir/$1.txt" || fail "$1" "the host did not power off"
    sed '/"seconds"\|"mips"/d' "$dir/$1.err" >"$dir/$1.counts"
    for exit in $exits; do
        grep -q "\"$exit\": *[1-9]" "$dir/$1.counts" || fail "$1" "no $exit exit"
    done
}
case $only in
once)
    check kvm2 2
    exit
    ;;
avic)
    check avic_zen1 2 --cpu zen1
    check avic_max 2 --cpu max
    tail -n 1 "$dir/avic_max.lines"
    exit
    ;;
esac
check kvm1 1
check kvm1again 1
cmp "$dir/kvm1.txt" "$dir/kvm1again.txt"
cmp "$dir/kvm1.counts" "$dir/kvm1again.counts"
echo "two equal runs: $(grep -E '"(instructions|vmruns)"' "$dir/kvm1.counts" | tr -d '\n')"
check kvm2 2
check kvm4 4
tail -n 1 "$dir/kvm4.lines"
