#!/bin/sh
# SPDX-License-Identifier: MIT
# fetch_boot.sh DIRECTORY PACKAGE PATTERN: prints the path of the file in /boot of a Debian package whose name fits PATTERN, downloading
# (not installing) the package and unpacking its /boot into DIRECTORY the first time. A kernel's metapackage stands for its kernel.
set -eu
dir=$1 package=$2 pattern=$3
find_file() { find "$dir/root/boot" -name "$pattern" 2>/dev/null | sort | tail -n 1; }
file=$(find_file)
if [ -z "$file" ]; then
    [ "${SVMEMU_OFFLINE:-0}" != 1 ] || exit 1
    refresh() {
        sudo=
        [ "$(id -u)" -eq 0 ] || sudo=sudo
        $sudo apt-get update -qq >&2
    }
    resolve() {
        kernel=$(apt-cache depends "$package" 2>/dev/null | sed -n 's/^ *Depends: \(linux-image-[0-9].*\)/\1/p' | head -n 1)
        echo "${kernel:-$package}"
    }
    apt-cache show "$package" >/dev/null 2>&1 || refresh
    mkdir -p "$dir/root"
    # A stale list names a version the mirror no longer has: refresh once.
    (cd "$dir" && { apt-get download "$(resolve)" || { refresh && apt-get download "$(resolve)"; }; }) >&2
    dpkg-deb --fsys-tarfile "$dir/$(resolve)"_*.deb | tar -x -C "$dir/root" ./boot
    rm -f "$dir/$(resolve)"_*.deb
    file=$(find_file)
fi
[ -n "$file" ] || { echo "no $pattern in /boot of $package" >&2; exit 1; }
echo "$file"
