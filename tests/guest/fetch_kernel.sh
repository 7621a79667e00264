#!/bin/sh
# SPDX-License-Identifier: MIT
# fetch_kernel.sh DIRECTORY: prints the path of the vmlinuz of Debian's linux-image-cloud-amd64, downloading and unpacking
# (not installing) the package into DIRECTORY the first time.
set -eu
dir=$1
find_kernel() { find "$dir/root/boot" -name 'vmlinuz-*' 2>/dev/null | sort | tail -n 1; }
kernel=$(find_kernel)
if [ -z "$kernel" ]; then
    [ "${SVMEMU_OFFLINE:-0}" != 1 ] || exit 1
    resolve() { apt-cache depends linux-image-cloud-amd64 2>/dev/null | sed -n 's/^ *Depends: \(linux-image-[0-9].*\)/\1/p' | head -n 1; }
    package=$(resolve)
    if [ -z "$package" ]; then
        sudo=
        [ "$(id -u)" -eq 0 ] || sudo=sudo
        $sudo apt-get update -qq >&2
        package=$(resolve)
    fi
    [ -n "$package" ] || { echo "apt knows no linux-image-cloud-amd64" >&2; exit 1; }
    mkdir -p "$dir"
    # A stale list names a version the mirror no longer has: refresh once.
    (cd "$dir" && { apt-get download "$package" || { apt-get update -qq && apt-get download "$package"; }; }) >&2
    dpkg-deb -x "$dir/$package"_*.deb "$dir/root"
    kernel=$(find_kernel)
fi
[ -n "$kernel" ] || { echo "no vmlinuz in the package" >&2; exit 1; }
echo "$kernel"
