#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The same without CMake: a program and a plugin in C, built with what pkg-config says about the moved tree.
set -euo pipefail
umask 022
here=$(dirname "${BASH_SOURCE[0]}")
PKG_CONFIG_PATH=$(dirname "$(find "$WORK/moved/all" -name backplane.pc)")
export PKG_CONFIG_PATH
out=$WORK/pkg_config
mkdir -p "$out/plugins"
library_dir=$(pkg-config --variable=libdir backplane)
# shellcheck disable=SC2046  # the words of pkg-config are meant to be split
"$CXX" -std=c++20 "$here/library/main.cpp" -o "$out/consumer" $(pkg-config --cflags --libs backplane) -Wl,-rpath,"$library_dir"
env -u LD_LIBRARY_PATH -u BACKPLANE_PLUGIN_PATH "$out/consumer" "$WORK/moved/all"

# shellcheck disable=SC2046
"$CC" -std=c11 -O2 -shared -fPIC -fvisibility=hidden "$SOURCE/plugin_api/template/toy_c.c" -o "$out/plugins/libbackplane_toy_c.so" \
  $(pkg-config --cflags backplane-plugin) -Wl,--version-script="$(pkg-config --variable=linkermap backplane-plugin)" -lm
BACKPLANE_PLUGIN_PATH=$out/plugins BACKPLANE_DEVICE=toy_c "$out/consumer" "$out/plugins"
