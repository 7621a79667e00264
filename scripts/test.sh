#!/bin/sh
# SPDX-License-Identifier: MIT
# One command: installs what is missing, builds the dev (gcc), sanitizer, release and clang configurations, and runs the tests.
# Ends with ctest's summary. Any warning, failing test or sanitizer report fails it.
#   scripts/test.sh [quick]   quick: the dev build only
set -eu
cd "$(dirname "$0")/.."
./scripts/setup.sh
jobs=$(nproc)

build() {
    echo "== building $1"
    cmake --preset "$@" >build-"$1".log 2>&1 || { cat build-"$1".log; rm -f build-"$1".log; exit 1; }
    rm -f build-"$1".log
    cmake --build "build/$1" -j "$jobs"
}

# The release build's hashes of what ran, in the file $1, are those of the build $2 too.
same() {
    cmp "build/release/$1" "build/$2/$1" || { echo "release and $2 differ in $1" >&2; exit 1; }
}

build dev
if [ "${1:-}" != quick ]; then
    echo "== clang builds the same without warnings"
    cmake --preset dev -B build/dev-clang -DCMAKE_C_COMPILER=clang-14 -DSVMEMU_GUESTS=OFF >/dev/null
    cmake --build build/dev-clang -j "$jobs"
    build asan-ubsan
    build release
    # The sanitizer build leaves out what only takes time there; release runs the guests as users will.
    export ASAN_OPTIONS=detect_leaks=1:halt_on_error=1 UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1
    echo "== tests: asan-ubsan"
    ctest --test-dir build/asan-ubsan --output-on-failure -j "$jobs" -LE 'soak|slow|lint|same'
    echo "== fuzzing VMRUN: coverage (cov, ft) and exit codes"
    cmake --preset fuzz >/dev/null
    cmake --build build/fuzz -j "$jobs" --target fuzz_vmrun
    ctest --test-dir build/fuzz -V -L fuzz
    echo "== tests: release"
    ctest --test-dir build/release --output-on-failure -j "$jobs" -LE 'soak'
fi
if [ "${1:-}" != quick ]; then
    echo "== the same hashes from gcc and clang, generic and specialised handlers, loop and tail dispatch"
    g=build/release/guests
    tests/guest/same.sh build/dev-clang/svmemu $g $g/init build/release/linux build/dev-clang/hashes.txt
    same hashes.txt dev-clang
    ctest --test-dir build/dev-clang --output-on-failure -R '^unit.exec_random$'
    same random.txt dev-clang
    same random.txt asan-ubsan
fi
echo "== tests: dev"
exclude='soak'
[ "${1:-}" = quick ] || exclude='soak|slow' # slow ones have run on the release build
ctest --test-dir build/dev --output-on-failure -j "$jobs" -LE "$exclude"

if [ "${1:-}" != quick ]; then
    same hashes.txt dev
    same random.txt dev
fi
