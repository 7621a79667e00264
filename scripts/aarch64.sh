#!/bin/sh
# SPDX-License-Identifier: MIT
# By hand, after scripts/test.sh on an x86-64 host: cross-builds for aarch64, runs the tests under qemu-user, and shows that the
# emulator gives the same hashes there. Adds the architecture arm64 to dpkg, so a container or chroot is a good place for it.
set -eu
cd "$(dirname "$0")/.."
sudo=
[ "$(id -u)" -eq 0 ] || sudo=sudo
libraries=
for name in libelf zlib1g liblzma liblz4 libzstd libxxhash libcapstone libjansson libcmocka libzydis libzycore; do
    libraries="$libraries $name-dev:arm64"
done
$sudo dpkg --add-architecture arm64
$sudo apt-get update -qq
# shellcheck disable=SC2086
DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -qq --no-install-recommends gcc-aarch64-linux-gnu libc6-dev-arm64-cross \
    qemu-user dmidecode $libraries
cmake --preset aarch64
cmake --build --preset aarch64 -j "$(nproc)"
ln -sfn ../release/guests build/aarch64/guests # x86 programs: this compiler cannot build them
ctest --preset aarch64 -j "$(nproc)" -LE 'soak|slow'
printf '#!/bin/sh\nexec qemu-aarch64 "%s" "$@"\n' "$PWD/build/aarch64/svmemu" >build/aarch64/emulated
chmod +x build/aarch64/emulated
guests=build/release/guests
tests/guest/same.sh build/aarch64/emulated $guests $guests/init build/release/linux build/aarch64/hashes.txt
cmp build/release/hashes.txt build/aarch64/hashes.txt
cmp build/release/random.txt build/aarch64/random.txt
echo "aarch64 and x86-64 hosts give the same hashes"
