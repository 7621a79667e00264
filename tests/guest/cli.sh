#!/bin/sh
# SPDX-License-Identifier: MIT
# cli.sh SVMEMU GUEST DIRECTORY: every exit status of `svmemu run` by the guest tests/guest/pc/ends.c, options that are refused and what is
# said then, and the commands beside run.
set -eu
svmemu=$1 guest=$2 dir=$3
page=$(realpath "$(dirname "$0")/../../man/svmemu.1")
rm -rf "$dir"
mkdir -p "$dir"
cd "$dir"
fail() { cat out err; echo "$*" >&2; exit 1; }
has() { grep -qF -- "$2" "$1" || fail "missing in $1: $2"; }
try() { # status command...
    want=$1 status=0
    shift
    timeout 60 "$svmemu" "$@" >out 2>err </dev/null || status=$?
    [ "$status" -eq "$want" ] || fail "svmemu $*: status $status, expected $want"
}
ends() { # status what-is-said word options...
    want=$1 says=$2 word=$3
    shift 3
    try "$want" run "$@" "$guest" -- "$word"
    has out ends
    [ -z "$says" ] || has err "$says"
}

ends 11 '' exit
ends 0 '' off
ends 0 '' soft-off
ends 4 'after exceptions #UD' shutdown
[ "$(grep -c 'after exceptions #UD' err)" -eq 1 ] || fail "said twice"
ends 6 'instruction limit was reached' loop --max-insns 100000
ends 6 'cycle limit was reached' loop --max-cycles 3000000
ends 8 'timeout of 0.5 seconds' loop --timeout 0.5
ends 12 'bytes d9 eb' unbuilt
ends 16 'halted' halt
ends 18 'reset' reset --no-reboot
ends 6 '' reset --max-insns 1000000 # starts again and again
[ "$(grep -c ends out)" -gt 1 ] || fail "the guest was not started again"
ends 6 '' exit --no-exit-port --no-test-device --max-insns 100000

# SIGINT, as Ctrl-C gives, ends a run and says where it was.
: >out # or the words of the run before would be found
"$svmemu" run "$guest" -- loop >out 2>err </dev/null &
for _ in $(seq 200); do
    ! grep -q ends out || break
    sleep 0.05
done
kill -INT $!
status=0
wait $! || status=$?
[ "$status" -eq 10 ] || fail "SIGINT: status $status"
has err '<guest_main+'

refused() { # what-is-said arguments...
    says=$1
    shift
    try 2 "$@"
    has err "$says"
}
refused 'unknown command "walk"' walk
refused 'usage: svmemu run'
refused 'usage: svmemu cpus' cpus --all
refused 'no guest was given' run
refused "unrecognized option '--bogus'" run --bogus "$guest"
refused "option '--memory' requires an argument" run --memory
refused 'unexpected argument "more"' run "$guest" more
refused '/nonexistent' run /nonexistent
refused '--vcpus 0: a whole number from 1 to 512' run --vcpus 0 "$guest"
refused '--vcpus 2x:' run --vcpus 2x "$guest"
refused '--max-insns 99999999999999999999:' run --max-insns 99999999999999999999 "$guest"
refused '--memory: "1M" must be at least 2M' run --memory 1M "$guest"
refused '--memory: "4097K"' run --memory 4097K "$guest"
refused '--memory: "5Q"' run --memory 5Q "$guest"
refused '--memory: "-1"' run --memory -1 "$guest"
refused '--timeout: "nan"' run --timeout nan "$guest"
refused '--timeout: "-3"' run --timeout -3 "$guest"
refused '--engine x: only full, generic' run --engine x "$guest"
refused '--entry x: only auto' run --entry x "$guest"
refused '--stats=x: only text and json' run --stats=x "$guest"
refused '--stats=json:: only text and json' run --stats=json: "$guest"
refused '--dump-vmcb=x: only end' run --dump-vmcb=x "$guest"
refused '--smbios 9: only 2.1' run --smbios 9 "$guest"
refused '--serial x: only stdio' run --serial x "$guest"
refused '--fw-cfg x: NAME=FILE' run --fw-cfg x "$guest"
refused '--setup-data 3: a number' run --setup-data 3 "$guest"
refused '/nonexistent cannot be read' run --setup-data 3,/nonexistent "$guest"
refused 'is not known; "svmemu cpus"' run --cpu k9 "$guest"
refused '300 vCPUs: 1 to 255 are possible with profile k8' run --vcpus 300 --cpu k8 "$guest"
refused 'to 549755813888 is possible' run --memory 1024G --cpu k8 "$guest"
refused 'ACPI table "XYZ" to break' run --break-acpi XYZ "$guest"
refused '/nonexistent' run --module /nonexistent "$guest"
refused '/nonexistent' run --firmware /nonexistent

refused '--serial stdio,input=/: its input cannot be read' run --serial stdio,input=/ "$guest" -- exit

# Output that is lost is no success; a reader that has gone is.
refused '/dev/full: the screen cannot be written' run --dump-screen=/dev/full "$guest" -- exit
refused '/nonexistent/x: the screen cannot be written' run --dump-screen=/nonexistent/x "$guest" -- exit
refused 'COM1: not all of the output could be written' run --serial file:/dev/full "$guest" -- exit
refused '/nonexistent/x: the counts cannot be written' run --stats=json:/nonexistent/x "$guest" -- exit
refused '/dev/full: the counts cannot be written' run --stats=text:/dev/full "$guest" -- exit
lost() { # status where arguments...: with standard output there
    want=$1 where=$2 status=0
    shift 2
    timeout 60 "$svmemu" "$@" >"$where" 2>err </dev/null || status=$?
    [ "$status" -eq "$want" ] || fail "svmemu $* >$where: status $status, expected $want"
}
lost 2 /dev/full run "$guest" -- exit
has err 'standard output: not all of it'
lost 2 /dev/full run --dump-screen --serial null "$guest" -- exit
lost 2 /dev/full version
lost 2 /dev/full cpus
lost 2 /dev/full --help
status=0
"$svmemu" run "$guest" -- exit >&- 2>err <&- || status=$?
[ "$status" -eq 11 ] && [ ! -s err ] || fail "closed standard output: status $status"
"$svmemu" run --serial file:com1 "$guest" -- exit >&- <&- || :
has com1 ends

# Counts in a file of their own: JSON and nothing else, while messages go to standard error.
try 12 run --stats=json:counts.json "$guest" -- unbuilt
python3 -c 'import json; c = json.load(open("counts.json")); assert c["instructions"] > 100 and "exits" in c' || fail "--stats=json:FILE"
has err 'not built yet'
! grep -q '"instructions"' err || fail "--stats=json:FILE also on standard error"

try 0 version
grep -qE '^svmemu [0-9]+\.[0-9]+\.[0-9]+$' out || fail version
for help in --help -h help; do
    try 0 $help
    has out 'usage: svmemu run'
done
try 0 run --help
cp out help
# The help and the manual page know the same options.
for option in $(grep -oE -- '--[a-z][a-z-]+' help | sort -u); do
    sed 's/\\-/-/g' "$page" | grep -qF -- "$option" || fail "$option is not in the manual page"
done
try 0 cpus
for name in k8 barcelona zen1 zen3 max; do
    grep -q "^$name " out || fail "no profile $name"
done
try 0 cpus --missing
for name in SSE3 TCE BRS PREFETCHCTL RAPL FETCHSAM SEVSNP; do
    grep -qE "^    $name +[a-zA-Z0-9]" out || fail "cpus --missing: no $name"
done
try 0 cpus
! grep -q '^ ' out || fail "cpus lists more than profiles"
echo "cli: all as expected"
