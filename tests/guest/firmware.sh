#!/bin/sh
# SPDX-License-Identifier: MIT
# firmware.sh SVMEMU DIRECTORY: Debian's SeaBIOS, started at the reset vector, finds the machine, takes memory map, processor count, ACPI
# and SMBIOS tables from fw_cfg, and reaches its boot prompt.
# The package is fetched (not installed) once. SVMEMU_OFFLINE=1 skips (77) when it is not there yet.
set -eu
svmemu=$1 dir=$2
mkdir -p "$dir"
if [ ! -e "$dir/root/usr/share/seabios/bios.bin" ]; then
    [ "${SVMEMU_OFFLINE:-0}" != 1 ] || { echo "skipped: no SeaBIOS and SVMEMU_OFFLINE=1"; exit 77; }
    (cd "$dir" && { apt-get download seabios || { apt-get update -qq && apt-get download seabios; }; }) >&2
    dpkg-deb -x "$dir"/seabios_*.deb "$dir/root"
fi

# check IMAGE VCPUS MIB SMBIOS LINE...
check() {
    for run in 1 2; do
        status=0
        "$svmemu" run --memory "$3M" --vcpus "$2" --firmware "$dir/root/usr/share/seabios/$1" --firmware-debug --smbios "$4" --serial "file:$dir/run$run.com1" \
            --max-cycles 20000000000 >"$dir/run$run.out" 2>"$dir/run$run.err" </dev/null || status=$?
        [ "$status" -eq 6 ] || { cat "$dir/run$run.out" "$dir/run$run.err"; echo "status $status, expected 6 (the limit)" >&2; exit 1; }
    done
    cmp "$dir/run1.out" "$dir/run2.out"
    cmp "$dir/run1.err" "$dir/run2.err"
    cmp "$dir/run1.com1" "$dir/run2.com1"
    grep -qF "Press ESC for boot menu" "$dir/run1.com1" || { cat "$dir/run1.com1"; echo "the prompt is not on the serial port" >&2; exit 1; }
    ram=$(printf 'qemu/e820: addr 0x0000000000000000 len 0x%016x [RAM]' $(($3 << 20)))
    for line in "Running on QEMU (i440fx)" "Found QEMU fw_cfg" "QEMU fw_cfg DMA interface supported" "$ram" "Moving pm_base to 0x600" \
        "5: 00000000e0000000 - 00000000f0000000 = 2 RESERVED" "Found 3 PCI devices" "PCI: init bdf=00:00.0 id=8086:1237" \
        "PCI: init bdf=00:01.0 id=8086:7000" "PCI: init bdf=00:01.3 id=8086:7113" "Using pmtimer, ioport 0x608" \
        "Found $2 cpu(s) max supported $2 cpu(s)" "Found 1 serial ports" "PS2 keyboard initialized" "Press ESC for boot menu" "No bootable device"; do
        grep -qF "$line" "$dir/run1.out" || { cat "$dir/run1.out"; echo "missing: $line" >&2; exit 1; }
    done
    image=$1 vcpus=$2 mib=$3
    shift 4
    for line in "$@"; do
        grep -qF "$line" "$dir/run1.out" || { cat "$dir/run1.out"; echo "missing: $line" >&2; exit 1; }
    done
    echo "$image with $vcpus vCPUs and $mib MiB: boot prompt, two equal runs"
}
check bios-256k.bin 1 64 2.1 "Copying SMBIOS from" "table(50434146)=0x" "(via xsdt)" "ACPI: parse DSDT at 0x"
check bios.bin 2 16 3.0 "Copying SMBIOS 3.0 from"

# A file of the user's that SeaBIOS reads: its boot order.
printf '/rom@genroms/nothing.bin\nHALT\n' >"$dir/bootorder"
"$svmemu" run --memory 16M --firmware "$dir/root/usr/share/seabios/bios.bin" --firmware-debug --serial null --fw-cfg "bootorder=$dir/bootorder" \
    --max-cycles 20000000000 >"$dir/order.out" 2>/dev/null </dev/null || true
for line in "1: /rom@genroms/nothing.bin" "2: HALT"; do
    grep -qF "$line" "$dir/order.out" || { cat "$dir/order.out"; echo "missing: $line" >&2; exit 1; }
done
echo "bootorder: read from the user's file"

# A key at the prompt, over the serial port.
printf 'expect Press ESC for boot menu\nsend \\e\nexpect Select boot device:\n' >"$dir/escape"
"$svmemu" run --memory 16M --firmware "$dir/root/usr/share/seabios/bios-256k.bin" --serial "file:$dir/escape.com1,script=$dir/escape" \
    --max-cycles 20000000000 >/dev/null 2>"$dir/escape.err" </dev/null || true
! grep "the script still waits" "$dir/escape.err" || { cat "$dir/escape.com1"; exit 1; }
echo "boot menu: opened by a key on the serial port"
