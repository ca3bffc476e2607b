#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The demo itself, on a copy of the sources, shortened to one epoch: it must build, train, reach an accuracy that only a
# network that learns reaches, and leave the weights where it says.
set -euo pipefail
umask 022
rm -rf "$WORK/demo"
mkdir -p "$WORK/demo"
cd "$SOURCE"
cp -r .ci CMakeLists.txt CMakePresets.json LICENSE README.md scripts cmake plugin_api plugins graph frontend "$WORK/demo/"
[ ! -d autotune ] || cp -r autotune "$WORK/demo/"
cd "$WORK/demo"
scripts/demo --epochs 1 | tee output.txt
[ -s runs/demo/weights.safetensors ]
accuracy=$(sed -n 's/^test accuracy \([0-9.]*\) %.*/\1/p' output.txt)
awk -v a="$accuracy" 'BEGIN { exit !(a >= 80) }' || { echo "test accuracy '$accuracy'" >&2; exit 1; }
