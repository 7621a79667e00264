#!/bin/sh
# SPDX-License-Identifier: MIT
# make_initrd.sh INIT OUTPUT [FILE...]: a newc cpio with /init, /dev/console and the files, reproducible (fixed times, owner and inodes). The
# archive is written here because a device node would need root otherwise.
set -eu
init=$1 out=$2
shift 2
entry() { # name mode size rdev_major rdev_minor inode
    printf '070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x' "$6" "$(($2))" 0 0 1 0 "$3" 0 0 "$4" "$5" \
        "$((${#1} + 1))" 0
    printf '%s\0' "$1"
    pad $((110 + ${#1} + 1))
}
pad() { # to a multiple of four
    n=$(((4 - $1 % 4) % 4))
    while [ $n -gt 0 ]; do
        printf '\0'
        n=$((n - 1))
    done
}
file() { # path name inode
    size=$(wc -c <"$1")
    entry "$2" 0100755 "$size" 0 0 "$3"
    cat "$1"
    pad "$size"
}
{
    entry dev 0040755 0 0 0 1
    entry dev/console 0020600 0 5 1 2
    file "$init" init 3
    inode=4
    for path in "$@"; do
        file "$path" "${path##*/}" $inode
        inode=$((inode + 1))
    done
    entry 'TRAILER!!!' 0 0 0 0 0
} >"$out"
