#!/bin/sh
# SPDX-License-Identifier: MIT
# Installs the Debian 12 packages of scripts/packages.txt that are missing. Does nothing (and needs no network or
# privileges) where all of them are there.
set -eu
here=$(dirname "$0")
missing=
while read -r package; do
    state=$(dpkg-query -W -f '${Status}' "$package" 2>/dev/null || true)
    case $state in
    "install ok installed") ;;
    *) missing="$missing $package" ;;
    esac
done <"$here/packages.txt"
[ -n "$missing" ] || exit 0
echo "installing:$missing"
sudo=
[ "$(id -u)" -eq 0 ] || sudo=sudo
$sudo apt-get update -qq
# shellcheck disable=SC2086
DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -qq --no-install-recommends $missing
