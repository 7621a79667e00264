#!/bin/sh
# SPDX-License-Identifier: MIT
# same.sh SVMEMU GUESTS INIT KERNEL_DIR OUTPUT: every engine gives the same hash of registers, memory and time, over each example and
# the first instructions of the kernel boot. OUTPUT gets a line for each; scripts/test.sh compares the files of different builds.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
svmemu=$(realpath "$1") guests=$2 init=$(realpath "$3") dir=$(realpath -m "$4") output=$(realpath -m "$5")
cd "$guests" # a guest's path is its command line, so it must not depend on the build directory
hash_of() { # engine guest arguments...: the hash and how it ended
    engine=$1
    shift
    status=0
    "$svmemu" run --engine "$engine" --state-hash "$@" </dev/null >/dev/null 2>"$output.err" || status=$?
    sed -n 's/^state hash: //p' "$output.err" | tail -n 1 | sed "s/\$/ status $status/"
}
compare() { # name arguments...
    name=$1
    shift
    full=$(hash_of full "$@")
    generic=$(hash_of generic "$@")
    [ -n "$full" ] || { echo "$name: no hash" >&2; cat "$output.err" >&2; exit 1; }
    [ "$full" = "$generic" ] || { echo "$name: full $full, generic $generic" >&2; exit 1; }
    walk=$(hash_of walk "$@")
    [ "$full" = "$walk" ] || { echo "$name: full $full, without fast translations $walk" >&2; exit 1; }
    single=$(hash_of step "$@")
    [ "$full" = "$single" ] || { echo "$name: full $full, step $single" >&2; exit 1; }
    echo "$name $full" | tee -a "$output"
}
echo "init $(cksum <"$init")" >"$output" # an initrd is part of a kernel's memory: builds whose init differs cannot agree
for example in hello hello64 npt shadow realmode permissions inject; do
    compare "$example" "$example.elf"
    compare "$example/first-5000" --max-insns 5000 "$example.elf"
done
if ! kernel=$("$here/fetch_kernel.sh" "$dir"); then
    [ "${SVMEMU_OFFLINE:-0}" = 1 ] || exit 1
    echo "kernel left out: SVMEMU_OFFLINE=1"
    exit 77
fi
"$here/make_initrd.sh" "$init" "$output.cpio" # beside the output, as builds may be compared at once
for n in 20000000 200000000; do
    compare "kernel/first-$n" --memory 256M --max-insns $n --initrd "$output.cpio" \
        --cmdline 'console=ttyS0 panic=-1 rdinit=/init' "$kernel"
done
