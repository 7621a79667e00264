#!/bin/sh
# SPDX-License-Identifier: MIT
# --explain and --dump-vmcb: explain.sh SVMEMU GUESTS. Looks for exact lines in what two examples and a test guest give.
set -u
svmemu=$1
guests=$2
bad=0
# run GUEST OPTIONS...: standard error into $out
run() {
    guest=$1
    shift
    out=$(timeout 100 "$svmemu" run "$@" "$guests/$guest.elf" 2>&1 >/dev/null)
}
# has LINE: as a whole line
has() {
    printf '%s\n' "$out" | grep -qxF -- "$1" || { echo "$guest: no line \"$1\""; bad=1; }
}
# match EXPRESSION: an extended regular expression for a whole line
match() {
    printf '%s\n' "$out" | grep -qxE -- "$1" || { echo "$guest: nothing matches \"$1\""; bad=1; }
}
lacks() {
    printf '%s\n' "$out" | grep -qE -- "$1" && { echo "$guest: \"$1\" should not appear"; bad=1; }
}

run permissions --explain
match '\[0\] IOIO \(7Bh\) at rip 0x[0-9a-f]+ <[a-z0-9_.]+(\+[0-9A-F]+h)?>: OUT of 1 byte to port E0h; the next instruction is at 0x[0-9a-f]+'
match '\[0\] MSR \(7Ch\) at rip 0x[0-9a-f]+ <[a-z0-9_.]+(\+[0-9A-F]+h)?>: WRMSR of KERNEL_GS_BASE \(C0000102h\), value 0x1111'
match '\[0\] MSR \(7Ch\) at rip 0x[0-9a-f]+ <[a-z0-9_.]+(\+[0-9A-F]+h)?>: RDMSR of MSR 12345678h'
lacks '^VMCB|VMRUN vmcb'

run npt --explain --dump-vmcb=exit,end
match '\[0\] NPF \(400h\) at rip 0x[0-9a-f]+ <[a-z0-9_.]+(\+[0-9A-F]+h)?>: nested page fault: user write of guest-physical address 0x40000018, nested page not present, final address \(error code 0x100000006\)'
match 'VMCB 0x[0-9a-f]+ of vCPU 0, changed since VMRUN:'
has '    070 exitcode=400  (NPF), was 0'
has '    078 exitinfo1=100000006, was 0'
has '    070 exitcode=81  (VMMCALL), was 400'
match '    0D1 insn_bytes=48C70425180000407856[0-9A-F]*, was 48C70425180000403412[0-9A-F]*' # both in the order of memory
match 'VMCB 0x[0-9a-f]+ of vCPU 0 at the end:'
has '    010 icpt_misc2=3  (VMRUN VMMCALL)'
has '    090 np_ctl=1  (np_enable)'
lacks 'that VMRUN refused'

run svm_injection_64 --explain --dump-vmcb
match '\[0\] INVALID at rip 0x[0-9a-f]+: VMRUN refused the VMCB, 1 check: eventinj_type'
match '    eventinj_type: reserved event type \(0, 2, 3 and 4 exist\); eventinj at 0A8h = 0x[0-9a-f]+ \[APM2 15\.20\]'
match 'VMCB 0x[0-9a-f]+ of vCPU 0 that VMRUN refused:'
has '    070 exitcode=FFFFFFFFFFFFFFFF  (INVALID)'
match 'VMCB 0x[0-9a-f]+ of vCPU 0 at the end:'
lacks 'changed since VMRUN|\[vmrun\.check\.'

# Mistakes that no processor refuses are hinted at once, and nothing else is.
mistake() { # word expression
    guest="pc_mistakes -- $1"
    out=$(timeout 100 "$svmemu" run --explain "$guests/pc_mistakes.elf" -- "$1" 2>&1 >/dev/null)
    [ $? -eq 33 ] || { echo "$guest: failed"; bad=1; }
    [ -z "$2" ] || match "\[0\] hint: $2"
    [ "$(printf '%s\n' "$out" | grep -c hint)" -eq $((${#2} > 0)) ] || { echo "$guest: not one hint: $out"; bad=1; }
}
mistake clean 'icpt_misc1 at 00Ch was changed from 0x88000000 to 0x80000000 since the last #VMEXIT, but bit 0 of VMCB_CLEAN .*\[APM2 15\.15\]'
mistake iopm 'iopm_base = 0x7fff0000: there is not memory for all 12 KiB .*'
mistake msrpm 'msrpm_base = 0x7fff0000: there is not memory for all 8 KiB .*'
mistake hsave 'VM_HSAVE_PA is 0: .*'
mistake asid 'ASID 1 ran with n_cr3 0x[0-9a-f]+ and now has 0x[0-9a-f]+ without a flush .*\[APM2 15\.16\]'
mistake flush ''
mistake none ''

run hello --trace-exits
lacks '^VMCB|was |\[0\]'
match 'cpu0 [0-9]+: VMRUN vmcb 0x[0-9a-f]+ asid 1, rip 0x[0-9a-f]+ rsp 0x[0-9a-f]+ rax 0 <guest>'
"$svmemu" run --dump-vmcb=never "$guests/hello.elf" >/dev/null 2>&1
[ $? -eq 2 ] || { echo "--dump-vmcb=never is accepted"; bad=1; }
exit $bad
