#!/bin/sh
# SPDX-License-Identifier: MIT
# run.sh CMAKE CC BUILD: installs the build tree into a temporary directory and builds and runs a consumer of that package through
# find_package(svmemu CONFIG) and through pkg-config, with the shared and with the static library, and compiles it as C++.
set -eu
cmake=$1 cc=$2 build=$3
here=$(cd "$(dirname "$0")" && pwd)
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
prefix=$tmp/prefix
"$cmake" --install "$build" --prefix "$prefix" >"$tmp/log" 2>&1 || { cat "$tmp/log" >&2; exit 1; }

echo "== find_package"
"$cmake" -S "$here" -B "$tmp/build" -DCMAKE_C_COMPILER="$cc" -DCMAKE_PREFIX_PATH="$prefix" >"$tmp/log" 2>&1 &&
    "$cmake" --build "$tmp/build" >>"$tmp/log" 2>&1 || { cat "$tmp/log" >&2; exit 1; }
# The package found must be the one just installed, not one of the system.
grep -q "^svmemu_DIR:PATH=$prefix/" "$tmp/build/CMakeCache.txt" || { grep svmemu_DIR "$tmp/build/CMakeCache.txt" >&2; exit 1; }
"$tmp/build/consumer"
"$tmp/build/consumer_static"
alone() { # a program that does not need the shared library
    ! readelf -d "$1" | grep -q 'NEEDED.*libsvmemu' || { echo "$1 is not linked with the static library" >&2; exit 1; }
}
alone "$tmp/build/consumer_static"

echo "== pkg-config"
pc=$(find "$prefix" -name svmemu.pc)
[ -n "$pc" ] || { echo "svmemu.pc was not installed" >&2; exit 1; }
# The file finds its prefix by its own place: that of this install is not that of the configuration.
export PKG_CONFIG_PATH="${pc%/*}"
flags=$(pkg-config --cflags --libs svmemu)
# shellcheck disable=SC2086
"$cc" -std=c17 -Wall -Wextra -Werror -o "$tmp/consumer" "$here/main.c" $flags
lib=$(pkg-config --variable=libdir svmemu)
LD_LIBRARY_PATH=$lib "$tmp/consumer"
flags=$(pkg-config --static --cflags --libs svmemu | sed "s|-lsvmemu|$lib/libsvmemu.a|")
# shellcheck disable=SC2086
"$cc" -std=c17 -o "$tmp/consumer_static" "$here/main.c" $flags
"$tmp/consumer_static"
alone "$tmp/consumer_static"

# C++: each function that is called has its C name. clang's C++ is in the compiler itself and needs no library here.
echo "== C++"
cat >"$tmp/main.cpp" <<'END'
#include <svmemu/svmemu.h>
const char *f(struct svmemu *m, struct svmemu_pci *p, svmemu_stop *stop)
{
    svmemu_run(m, 1, 1, stop);
    svmemu_exit_name(0);
    svmemu_reg_name(0);
    svmemu_pci_interrupt(p, 0, true);
    return svmemu_status_text(SVMEMU_OK);
}
END
clang-14 -x c++ -Wall -Wextra -Werror -I"$prefix/include" -c -o "$tmp/cpp.o" "$tmp/main.cpp"
! nm "$tmp/cpp.o" | grep 'U _Z' || exit 1
