#!/bin/sh
# SPDX-License-Identifier: MIT
# tail_calls.sh OBJECT...: every handler of a tail-call build ends in a jump: gcc 12 has no musttail, so the machine code is looked at.
# Handlers are the functions with an indirect jump; none may call another through a pointer, or the host stack would grow.
set -eu
for object in "$@"; do
    objdump -dr --no-show-raw-insn "$object"
done | awk '
    /^[0-9a-f]+ <.*>:$/ { name = $2; next }
    /\tjmp +\*0?x?[0-9a-f]*\(%r|\tjmp +\*%r/ { jumps[name]++ }
    /\tcall +\*/ { calls[name]++ }
    # No handlers: one calls the pure bodies of rows and jumps to the others, one calls a function for each vCPU.
    END {
        n = split("exec_insn_generic exec_each_vcpu", no_handler, " ")
        for (i = 1; i <= n; i++) {
            delete jumps["<" no_handler[i] ">:"]
            delete calls["<" no_handler[i] ">:"]
        }
        for (f in jumps) {
            handlers++
            if (f in calls) { print "indirect call in handler " f; bad++ }
        }
        for (f in calls) if (f ~ /_(rr|ri|rm|mr|mi)_|^<j(cc|mp)|^<op_(generic|fall|link)/) { print "handler " f " calls through a pointer"; bad++ }
        print handlers " handlers end in a jump, " bad + 0 " do not"
        exit bad > 0 || handlers < 1000
    }'
