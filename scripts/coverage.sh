#!/bin/sh
# SPDX-License-Identifier: MIT
# By hand: builds the coverage preset, runs its fast tests, and prints lines and functions executed in each folder of src, and the
# functions that no test executes. Installs gcovr.
set -eu
cd "$(dirname "$0")/.."
./scripts/setup.sh
if ! command -v gcovr >/dev/null; then
    sudo=
    [ "$(id -u)" -eq 0 ] || sudo=sudo
    $sudo apt-get update -qq
    DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -qq --no-install-recommends gcovr
fi
cmake --preset coverage
cmake --build --preset coverage -j "$(nproc)"
find build/coverage -name '*.gcda' -delete # counts add up from run to run
ctest --preset coverage -j "$(nproc)" -LE 'soak|slow|lint|same'
gcovr -r . build/coverage -f src/ --csv -o build/coverage/lines.csv
printf '%-14s %7s %7s %7s %10s %7s\n' folder lines of share functions of
awk -F, '
    NR > 1 {
        split($1, path, "/")
        n = split(path[1] "/" path[2] " all", folders, " ")
        for (i = 1; i <= n; i++) {
            lines[folders[i]] += $2; ran[folders[i]] += $3
            functions[folders[i]] += $8; called[folders[i]] += $9
        }
    }
    END { for (f in lines) printf "%-14s %7d %7d %6.1f%% %10d %7d\n", f, ran[f], lines[f], 100 * ran[f] / lines[f], called[f], functions[f] }
    ' build/coverage/lines.csv | sort -k1.1,1.1r -k1
echo "never executed:"
find "$PWD/build/coverage/CMakeFiles" -name '*.gcda' | (cd build/coverage && xargs gcov --json-format --stdout) >build/coverage/functions.json
python3 - build/coverage/functions.json <<'END'
import json, sys
count = {}
for line in open(sys.argv[1]):
    for f in json.loads(line)["files"]:
        name = f["file"]
        name = name[name.find("/src/") + 1:]
        if name.startswith("src/"):
            for g in f["functions"]:
                key = name, g["name"]
                count[key] = count.get(key, 0) + g["execution_count"]
for key in sorted(k for k in count if not count[k]):
    print("   ", *key)
END
