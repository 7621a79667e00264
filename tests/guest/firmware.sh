#!/bin/sh
# SPDX-License-Identifier: MIT
# firmware.sh SVMEMU DIRECTORY: Debian's SeaBIOS, started at the reset vector, finds the machine and reaches its boot prompt.
# The package is fetched (not installed) once. SVMEMU_OFFLINE=1 skips (77) when it is not there yet.
set -eu
svmemu=$1 dir=$2
mkdir -p "$dir"
if [ ! -e "$dir/root/usr/share/seabios/bios.bin" ]; then
    [ "${SVMEMU_OFFLINE:-0}" != 1 ] || { echo "skipped: no SeaBIOS and SVMEMU_OFFLINE=1"; exit 77; }
    (cd "$dir" && { apt-get download seabios || { apt-get update -qq && apt-get download seabios; }; }) >&2
    dpkg-deb -x "$dir"/seabios_*.deb "$dir/root"
fi

# check IMAGE VCPUS MIB
check() {
    for run in 1 2; do
        status=0
        "$svmemu" run --memory "$3M" --vcpus "$2" --firmware "$dir/root/usr/share/seabios/$1" --firmware-debug \
            --max-cycles 20000000000 >"$dir/run$run.out" 2>"$dir/run$run.err" </dev/null || status=$?
        [ "$status" -eq 6 ] || { cat "$dir/run$run.out" "$dir/run$run.err"; echo "status $status, expected 6 (the limit)" >&2; exit 1; }
    done
    cmp "$dir/run1.out" "$dir/run2.out"
    cmp "$dir/run1.err" "$dir/run2.err"
    ram=$(printf 'RamSize: 0x%08x' $(($3 << 20)))
    for line in "Running on QEMU (i440fx)" "$ram" "Found 3 PCI devices" "PCI: init bdf=00:00.0 id=8086:1237" \
        "PCI: init bdf=00:01.0 id=8086:7000" "PCI: init bdf=00:01.3 id=8086:7113" "Using pmtimer, ioport 0xb008" \
        "Found $2 cpu(s)" "Found 1 serial ports" "PS2 keyboard initialized" "Press ESC for boot menu" "No bootable device"; do
        grep -qF "$line" "$dir/run1.out" || { cat "$dir/run1.out"; echo "missing: $line" >&2; exit 1; }
    done
    echo "$1 with $2 vCPUs and $3 MiB: boot prompt, two equal runs"
}
check bios-256k.bin 1 64
check bios.bin 2 16
