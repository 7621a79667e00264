#!/bin/sh
# SPDX-License-Identifier: MIT
# firmware_linux.sh SVMEMU KERNEL_DIRECTORY FIRMWARE_DIRECTORY: Debian's SeaBIOS starts QEMU's linuxboot ROM, which takes the kernel, its
# command line and the initrd from fw_cfg; the kernel finds the machine through what the firmware got there. The packages are fetched (not
# installed) once; firmware.sh fetches SeaBIOS. SVMEMU_OFFLINE=1 skips (77) when something is not there yet.
set -eu
svmemu=$1 kernels=$2 dir=$3
here=$(cd "$(dirname "$0")" && pwd)
bios=$dir/root/usr/share/seabios/bios-256k.bin rom=$dir/root/usr/share/qemu/linuxboot_dma.bin
if ! kernel=$("$here/fetch_kernel.sh" "$kernels"); then
    [ "${SVMEMU_OFFLINE:-0}" != 1 ] || { echo "skipped: no kernel and SVMEMU_OFFLINE=1"; exit 77; }
    exit 1
fi
mkdir -p "$dir"
for package in seabios qemu-system-data; do
    case $package in seabios) file=$bios ;; *) file=$rom ;; esac
    [ ! -e "$file" ] || continue
    [ "${SVMEMU_OFFLINE:-0}" != 1 ] || { echo "skipped: no $package and SVMEMU_OFFLINE=1"; exit 77; }
    (cd "$dir" && { apt-get download "$package" || { apt-get update -qq && apt-get download "$package"; }; }) >&2
    dpkg-deb -x "$dir/$package"_*.deb "$dir/root"
done
printf 'not an archive, but found' >"$dir/initrd"
status=0
"$svmemu" run --memory 256M --vcpus 2 --firmware "$bios" --firmware-debug --serial "file:$dir/linux.com1" --fw-cfg "genroms/linuxboot_dma.bin=$rom" \
    --initrd "$dir/initrd" --max-insns 150000000 "$kernel" -- console=ttyS0 earlyprintk=serial,ttyS0 from=fw_cfg \
    >"$dir/linux.out" 2>"$dir/linux.err" </dev/null || status=$?
[ "$status" -eq 6 ] || { cat "$dir/linux.out" "$dir/linux.err"; echo "status $status, expected 6 (the limit)" >&2; exit 1; }
cat "$dir/linux.com1" >>"$dir/linux.out"
for line in "Running option rom at" "Booting from ROM" "] Linux version" "Command line: console=ttyS0 earlyprintk=serial,ttyS0 from=fw_cfg" \
    "RAMDISK: [mem" "SMBIOS 2.8 present" "DMI: svmemu PC" "ACPI: FACP 0x" "ACPI: APIC 0x" "ACPI: MCFG 0x" "PM-Timer IO Port: 0x608" \
    "BIOS-e820: [mem 0x00000000e0000000-0x00000000efffffff] reserved"; do
    grep -qF "$line" "$dir/linux.out" || { cat "$dir/linux.out"; echo "missing: $line" >&2; exit 1; }
done
! grep -iE 'firmware bug|invalid checksum|bios error' "$dir/linux.out" || exit 1
echo "the kernel started through SeaBIOS and linuxboot"
