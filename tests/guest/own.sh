#!/bin/sh
# SPDX-License-Identifier: MIT
# own.sh SVMEMU DIRECTORY: the command by which README.md builds a hypervisor of one's own works without a word, and what it builds runs.
set -eu
svmemu=$1 dir=$2
cd "$(dirname "$0")/../.."
mkdir -p "$dir"
command=$(sed -n '/^gcc /,/mine\.c #/p' README.md | sed "s|-o mine.elf|-o '$dir/mine.elf'|; s|mine\.c #.*|examples/hello.c|")
[ -n "$command" ] || { echo "README.md has no such command" >&2; exit 1; }
words=$(sh -c "$command" 2>&1) || { echo "$words" >&2; exit 1; }
[ -z "$words" ] || { echo "$words" >&2; exit 1; }
status=0
"$svmemu" run --explain --dump-vmcb "$dir/mine.elf" </dev/null >"$dir/out" 2>"$dir/err" || status=$?
cat "$dir/out"
[ "$status" -eq 33 ] || { echo "status $status instead of 33" >&2; exit 1; }
grep -q '^\[0\] VMMCALL (81h) at rip 0x[0-9a-f]* <guest+' "$dir/err" || { cat "$dir/err" >&2; exit 1; }
