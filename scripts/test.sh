#!/bin/sh
# SPDX-License-Identifier: MIT
# One command: installs what is missing, builds the dev and release configurations by gcc and by clang and those of the sanitizers, and
# runs the tests. Any warning, failing test or sanitizer report fails it. At its end stands what was skipped (SVMEMU_OFFLINE=1 only).
#   scripts/test.sh [quick]   quick: the dev build only
set -eu
cd "$(dirname "$0")/.."
./scripts/setup.sh
jobs=$(nproc)
mkdir -p build
skipped=$PWD/build/skipped.txt
: >"$skipped"

configure() { # build preset options...
    echo "== building $1"
    build=$1 preset=$2
    shift 2
    cmake --preset "$preset" -B "build/$build" "$@" >"build/$build.log" 2>&1 || { cat "build/$build.log"; exit 1; }
    rm -f "build/$build.log"
}
build() { # build preset options...
    configure "$@"
    cmake --build "build/$build" -j "$jobs"
}

tests() { # build ctest's options...
    build=$1
    shift
    echo "== tests: $build"
    status=0
    ctest --test-dir "build/$build" --output-on-failure -j "$jobs" -O "build/$build/ctest.log" "$@" || status=$?
    sed -n "s|^.* Test *#[0-9]*: \([^ ]*\) .*\*\*\*Skipped.*|$build \1|p" "build/$build/ctest.log" >>"$skipped"
    [ "$status" -eq 0 ] || exit "$status"
}

# The release build's hashes of what ran, in the file $1, are those of the build $2 too. Offline either may lack the kernel.
same() {
    left=
    for build in release "$2"; do
        if [ "${SVMEMU_OFFLINE:-0}" = 1 ] && ! grep -q '^kernel' "build/$build/$1"; then left=/^kernel/d; fi
    done
    for build in release "$2"; do
        sed "$left" "build/$build/$1" >"build/$build/$1.compared"
    done
    cmp "build/release/$1.compared" "build/$2/$1.compared" || { echo "release and $2 differ in $1" >&2; exit 1; }
}

build dev dev
if [ "${1:-}" != quick ]; then
    build dev-clang dev -DCMAKE_C_COMPILER=clang-14 -DSVMEMU_GUESTS=OFF
    build release release
    build release-clang release -DCMAKE_C_COMPILER=clang-14 -DSVMEMU_GUESTS=OFF
    ln -sfn ../release/guests build/release-clang/guests
    build asan-ubsan asan-ubsan
    # The sanitizer build leaves out what only takes time there; release runs the guests as users will.
    export ASAN_OPTIONS=detect_leaks=1:halt_on_error=1 UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1 TSAN_OPTIONS=halt_on_error=1
    tests asan-ubsan -LE 'soak|slow|lint|same'
    # Under the thread sanitizer all that has threads: machines in several, and the program, which waits for signals in one.
    configure tsan tsan
    cmake --build build/tsan -j "$jobs" --target svmemu guests test_api_threads
    tests tsan -R '^(api\.threads|guest\.(cli|console|where|explain))$'
    configure fuzz fuzz
    cmake --build build/fuzz -j "$jobs" --target fuzz_vmrun
    echo "== fuzzing VMRUN: coverage (cov, ft) and exit codes"
    ctest --test-dir build/fuzz -V -L fuzz
    tests release -LE soak
    tests release-clang -LE soak
    echo "== the same hashes from gcc and clang, generic and specialised handlers, loop and tail dispatch"
    guests=build/release/guests
    for build in dev-clang release-clang; do
        status=0 # 77: the kernel was left out, which release's skipped test says
        tests/guest/same.sh "build/$build/svmemu" $guests $guests/init build/release/linux "build/$build/hashes.txt" || status=$?
        [ "$status" -eq 0 ] || { [ "$status" -eq 77 ] && [ "${SVMEMU_OFFLINE:-0}" = 1 ]; } || exit 1
        same hashes.txt "$build"
    done
    tests dev-clang -R '^unit\.exec_random$'
    same random.txt dev-clang
    same random.txt release-clang
    same random.txt asan-ubsan
fi
exclude='soak'
[ "${1:-}" = quick ] || exclude='soak|slow' # slow ones have run on the release build
tests dev -LE "$exclude"
if [ "${1:-}" != quick ]; then
    same hashes.txt dev
    same random.txt dev
    echo "== gcc and clang, generic and specialised handlers, loop and tail dispatch: all the same hashes"
fi
echo "== dev: what instructions were compared with"
cat build/dev/native.txt
if [ -s "$skipped" ]; then
    echo "== skipped under SVMEMU_OFFLINE=1:"
    cat "$skipped"
    [ "${SVMEMU_OFFLINE:-0}" = 1 ] || { echo "skipped without SVMEMU_OFFLINE=1: failed" >&2; exit 1; }
fi
echo "== passed"
