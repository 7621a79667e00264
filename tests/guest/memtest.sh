#!/bin/sh
# SPDX-License-Identifier: MIT
# memtest.sh SVMEMU DIRECTORY [full]: Debian's memtest86+ 6.10 by the Linux boot protocol, on the serial console, with 1 and 2 vCPUs and
# 8 MiB (with 4 MiB it finds nothing to test). Runs until all tests but the last have passed, bit fade, which waits for 160 seconds;
# with `full` to the end of the first pass. The package is fetched (not installed) once. SVMEMU_OFFLINE=1 skips (77) without it.
set -eu
svmemu=$1 dir=$2 mode=${3:-}
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$dir"
if ! memtest=$("$here/fetch_boot.sh" "$dir" memtest86+ 'memtest86+x64.bin'); then
    [ "${SVMEMU_OFFLINE:-0}" = 1 ] || exit 1
    echo "skipped: no memtest86+ and SVMEMU_OFFLINE=1"
    exit 77
fi

# run VCPUS CYCLES NAME OPTIONS...: the cycle limit always ends it. On Zen it would compute a temperature with the x87: barcelona.
run() {
    vcpus=$1 cycles=$2 name=$3
    shift 3
    status=0
    timeout 1500 "$svmemu" run --cpu barcelona --memory 8M --vcpus "$vcpus" --no-reboot --max-cycles "$cycles" "$@" "$memtest" \
        --append 'console=ttyS0,115200' </dev/null >"$dir/$name.out" 2>"$dir/$name.err" || status=$?
    tr '\033' '\n' <"$dir/$name.out" >"$dir/$name.txt" # cursor movements begin lines
    [ "$status" -eq 6 ] || fail "status $status, expected 6 (the limit)"
}
fail() {
    tail -n 40 "$dir/$name.txt"
    cat "$dir/$name.err"
    echo "$name: $1" >&2
    exit 1
}
want() { grep -qE "$1" "$dir/$name.txt" || fail "missing: $1"; }
check() { # VCPUS SMP-TEXT
    if [ "$mode" = full ]; then
        run "$1" 330000000000 "full$1"
        want 'Status: Pass '
        want '\| Pass:  1        Errors: 0  '
    else
        run "$1" 20000000000 "run$1"
        want '#10 \[Bit fade test'
        want '\| Pass:  0        Errors: 0  '
    fi
    want 'Memtest86\+ v6\.10'
    want 'Memory  :    8MB'
    want "$2"
    # A failing address begins a table with this head; the count of errors is repainted every two seconds.
    ! grep -E 'Failing Address|Errors: *[1-9]|Status: Failed' "$dir/$name.txt" || fail "memory errors"
    echo "$1 vCPUs: $(grep -cE 'Errors: 0 ' "$dir/$name.txt") screens without errors"
}
check 1 'CPU: 1 Cores 1 Threads +SMP: Disabled'
check 2 'CPU: 2 Cores 2 Threads +SMP: 2T \(PAR\)'
[ "$mode" = full ] && exit 0
for n in 1 2; do
    run 2 1000000000 "same$n" --state-hash
done
cmp "$dir/same1.out" "$dir/same2.out"
cmp "$dir/same1.err" "$dir/same2.err"
echo "two beginnings with 2 vCPUs are equal: $(grep 'state hash' "$dir/same1.err")"
