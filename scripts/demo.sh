#!/bin/sh
# SPDX-License-Identifier: MIT
# One command from a fresh Debian 12: installs what is missing, builds the release, and runs a hypervisor with its guest,
# showing each world switch. An argument chooses another example (npt, shadow, realmode, permissions, inject, hello64).
set -eu
cd "$(dirname "$0")/.."
example=${1:-hello}
./scripts/setup.sh
[ -f build/release/build.ninja ] || cmake --preset release >/dev/null
cmake --build --preset release
status=0
set -x
build/release/svmemu run --trace-exits "build/release/guests/$example.elf" || status=$?
set +x
if [ "$status" -ne 33 ]; then
    echo "demo: '$example' ended with status $status instead of 33" >&2
    exit 1
fi
echo "demo: '$example' passed (status 33 = the guest wrote 10h to port F4h)"
