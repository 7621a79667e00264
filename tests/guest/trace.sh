#!/bin/sh
# SPDX-License-Identifier: MIT
# trace.sh SVMEMU GUESTS DIRECTORY: what --trace prints: every instruction once, by name and length also where Capstone lacks it or calls it
# by another name; events where they happen; changed registers behind the instruction that changed them; the same run as without it.
set -eu
svmemu=$1 guests=$2 dir=$3
rm -rf "$dir"
mkdir -p "$dir"
cd "$dir"
run() { # name status arguments...: output in name.out and name.err
    name=$1 want=$2 status=0
    shift 2
    timeout 60 "$svmemu" run --serial null "$@" >"$name.out" 2>"$name.err" </dev/null || status=$?
    [ "$status" -eq "$want" ] || { cat "$name.out" "$name.err"; echo "$name: status $status, expected $want" >&2; exit 1; }
}
# The lines of the file with this text, and the count of lines behind each, are those of standard input.
lines() { # file pattern lines-behind
    grep -A"$3" -E -- "$2" "$1" | sed 's/^\([0-9]\) [0-9a-f]\{16\}  /\1 /; s/  *;.*//; s/  *$//; s/  */ /g; /^--$/d' >got
    cat >expected
    cmp -s got expected || { diff expected got; echo "$1: unexpected lines" >&2; exit 1; }
}
instructions() { grep -cE '^[0-9]+ [0-9a-f]{16}  ' "$1"; }
counted() { sed -n 's/^instructions *\([0-9]*\).*/\1/p' "$1"; }

run names 4 --cpu max --trace --stats "$guests/pc_names.elf"
sed -n '/<names>/,$p' names.out >end
lines end ' (0f01f[a-f]|f30f[0c][97].*|0f0b)  ' 0 <<'END'
0 0f01fc clzero [0f 01 fc]
0 0f01fd rdpru [0f 01 fd]
0 f30f09 wbnoinvd [f3 0f 09]
0 f30fc7f8 rdpid [f3 0f c7 f8]
0 0f01fa monitorx [0f 01 fa]
0 0f01fe invlpgb [0f 01 fe]
0 0f01ff tlbsync [0f 01 ff]
0 0f0b ud2
END
# The shutdown with all that led to it, and nothing behind it.
lines end '-> ' 1 <<'END'
0 -> #UD
0 -> #GP(33h)
0 -> #DF(0h)
0 -> shutdown
 activity=4
END
tail -n 1 names.out | grep -q 'activity=4$'
[ "$(instructions names.out)" -eq "$(counted names.err)" ]
run old 4 --cpu k8 --trace "$guests/pc_names.elf" -- old
lines old.out ' f3[0-9a-f]* .*bs[fr]' 0 <<'END'
0 f30fbcc2 bsf [f3 0f bc c2]
0 f30fbdc2 bsr [f3 0f bd c2]
END

# Interrupts: the handler's first instruction comes behind the event, with the stack as the event left it.
run inject 33 --trace --stats "$guests/inject.elf"
lines inject.out '-> interrupt 31h' 2 <<'END'
0 -> interrupt 31h
 rsp=10efc8 rflags=16
0 48c1e304 shl rbx, 4
END
grep -q '^0 -> #GP(18h), injected$' inject.out
[ "$(grep -c '^0 -> #VMEXIT' inject.out)" -eq "$(sed -n 's/^vmexits *//p' inject.err)" ]
[ "$(instructions inject.out)" -eq "$(counted inject.err)" ]
run plain 33 --stats "$guests/inject.elf"
for what in instructions cycles vmexits; do
    [ "$(grep "^$what " plain.err)" = "$(grep "^$what " inject.err)" ] || { echo "--trace changes $what" >&2; exit 1; }
done

# A halt for ever is one line; a limit is exact.
run halt 16 --trace --stats "$guests/pc_ends.elf" -- halt
tail -n 2 halt.out | head -n 1 | grep -q 'hlt '
[ "$(instructions halt.out)" -eq "$(counted halt.err)" ]
run limit 6 --trace --max-insns 123 "$guests/pc_ends.elf"
[ "$(instructions limit.out)" -eq 123 ]
echo "trace: all as expected"
