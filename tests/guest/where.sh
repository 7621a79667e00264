#!/bin/sh
# SPDX-License-Identifier: MIT
# where.sh SVMEMU GUEST DIRECTORY UNWINDING: what a stopped run prints of the guest tests/guest/pc/stuck.c: position, registers, back
# trace, past #VMEXITs, names from the guest, a module or --symbols; frame pointers and stacks that lead to devices, holes or themselves do
# no harm. UNWINDING: 1 if the program was built with libdw.
set -eu
svmemu=$1 guest=$2 dir=$3 unwinding=$4
rm -rf "$dir"
mkdir -p "$dir"
cd "$dir"
run() {
    name=$1 want=$2 status=0
    shift 2
    timeout 60 "$svmemu" run "$@" >"$name.out" 2>"$name.err" </dev/null || status=$?
    [ "$status" -eq "$want" ] || { cat "$name.out" "$name.err"; echo "$name: status $status, expected $want" >&2; exit 1; }
}
has() { grep -qE -- "$2" "$1" || { cat "$1"; echo "missing in $1: $2" >&2; exit 1; }; }
hasnot() { ! grep -qE -- "$2" "$1" || { cat "$1"; echo "unexpected in $1: $2" >&2; exit 1; }; }
address() { nm "$guest" | sed -n "s/ . $1\$//p"; }

run insns 6 --max-insns 300000 --vcpus 2 "$guest"
inner=$(address inner)
has insns.err "^svmemu: vCPU 0 at 0008:0000000000$(printf %06x $((0x$inner + 12))) <inner\+Ch>, 64-bit code, after 300000 instructions"
has insns.err "^    code   $(objdump -d "$guest" | sed -n "s/^ *$(printf %x $((0x$inner + 12))):\t\([0-9a-f ]*[0-9a-f]\) .*/\1/p") "
has insns.err '^    rax    [0-9a-f]{16}  rbx    0{16}  rcx'
has insns.err 'cs 0008 ss 0010'
# The chain of calls, in order, and nothing above guest_main but the boot code.
sed -n '/called from/,/last #VM/p' insns.err | grep -oE '<[a-z_]+\+' | head -n 3 | tr -d '<+\n' | grep -qx middleouterguest_main || { cat insns.err; exit 1; }
ret=$(objdump -d "$guest" | sed -n '/<middle>:/,/ret/p' | grep -A1 'call' | sed -n '2s/^ *\([0-9a-f]*\):.*/\1/p')
has insns.err "^    0000000000$ret <middle\+"
# Both exits, newest first.
[ "$(grep -oE '(VMMCALL|HLT) \([0-9]+h\) .*<nested_guest' insns.err | cut -d' ' -f1 | tr '\n' ' ')" = "HLT VMMCALL " ] || { cat insns.err; exit 1; }
has insns.err 'vCPU 1 at f000:000000000000fff0, waits for a SIPI'

run cycles 6 --max-cycles 1000000 "$guest"
has cycles.err '<inner\+'
run timeout 8 --timeout 1 "$guest"
has timeout.err '<inner\+'

# Frame pointers from a guest that means no good: the local APIC, a hole, a frame that is its own caller.
for word in apic hole loop; do
    run $word 6 --max-insns 300000 "$guest" -- $word
    has $word.err '<inner\+Ch>'
    hasnot $word.err '<middle'
    [ "$(wc -l <$word.err)" -lt 20 ]
done

# Names from elsewhere; none at all for a stripped guest.
strip -o stripped.elf "$guest"
run stripped 6 --max-insns 300000 stripped.elf
hasnot stripped.err '<'
run symbols 6 --max-insns 300000 --symbols "$guest" stripped.elf
has symbols.err '<inner\+Ch>'
run module 6 --max-insns 300000 --module "$guest" stripped.elf
has module.err '<inner\+Ch>'
run trace 6 --max-insns 30 --trace "$guest"
has trace.out '<_start\+'
# The disassembler is loaded when it is asked for: one that is no library is named, and a run without it does not mind.
mkdir broken
for major in 3 4 5 6; do
    : >broken/libcapstone.so.$major
done
LD_LIBRARY_PATH=$PWD/broken run notrace 14 --max-insns 30 --trace "$guest"
has notrace.err 'Capstone.* cannot be loaded: .*libcapstone'
LD_LIBRARY_PATH=$PWD/broken run nocapstone 6 --max-insns 30 "$guest"
run exits 6 --max-insns 300000 --trace-exits "$guest"
has exits.err '^cpu0 .*VMMCALL.*<nested_guest>'
run none 2 --symbols /nonexistent "$guest"
run text 2 --symbols cycles.err "$guest"
has text.err 'no ELF file with a symbol table'

# Without frame pointers: unwind data from --symbols, which may be of no use to a stack that is none.
lost=$(dirname "$guest")/pc_lost.elf
run lost 6 --max-insns 300000 "$lost"
hasnot lost.err 'called from'
run unwind 6 --max-insns 300000 --symbols "$lost.link" "$lost"
if [ "$unwinding" = 1 ]; then
    has unwind.err 'by unwind data'
    sed -n '/called from/,$p' unwind.err | grep -oE '<(deeper|deep|guest_main|guest_start)[+.]' | tr -d '<+.\n' | grep -qx deeperdeepguest_mainguest_start || {
        cat unwind.err
        exit 1
    }
    hello=$(dirname "$guest")/hello.elf # 32-bit code, in print()
    run unwind32 6 --max-insns 200 --symbols "$hello.link" "$hello"
    sed -n '/called from, by unwind data/,$p' unwind32.err | grep -oE '<(guest_main|guest_start)[+]' | tr -d '<+.\n' | grep -qx guest_mainguest_start
    run forged 6 --max-insns 300000 --symbols "$lost.link" "$lost" -- forged
    [ "$(grep -c '<deeper' forged.err)" -ge 3 ] && [ "$(wc -l <forged.err)" -lt 60 ] || { cat forged.err; exit 1; }
    run lost_apic 6 --max-insns 300000 --symbols "$lost.link" "$lost" -- apic
    hasnot lost_apic.err 'called from'
    run other_size 6 --max-insns 300000 --symbols "$lost" "$lost" # an ELF32 around 64-bit code: symbols only
    hasnot other_size.err 'called from'
fi
echo "where: all as expected"
