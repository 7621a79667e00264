#!/bin/sh
# SPDX-License-Identifier: MIT
# run.sh CMAKE CC BUILD: installs the build tree into a temporary directory and builds and runs a consumer of that package twice,
# through find_package(svmemu CONFIG) and through pkg-config.
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

echo "== pkg-config"
pc=$(find "$prefix" -name svmemu.pc)
[ -n "$pc" ] || { echo "svmemu.pc was not installed" >&2; exit 1; }
# The file names the prefix of the configuration; this install has another.
export PKG_CONFIG_PATH="${pc%/*}"
flags=$(pkg-config --define-variable=prefix="$prefix" --cflags --libs svmemu)
# shellcheck disable=SC2086
"$cc" -std=c17 -Wall -Wextra -Werror -o "$tmp/consumer" "$here/main.c" $flags
lib=$(pkg-config --define-variable=prefix="$prefix" --variable=libdir svmemu)
LD_LIBRARY_PATH=$lib "$tmp/consumer"
