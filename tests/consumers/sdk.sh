#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# An author has only the sdk component, copies the template out of it, builds it, installs it into the library's prefix, and
# the library computes on it.
set -euo pipefail
umask 022
here=$(dirname "${BASH_SOURCE[0]}")
out=$WORK/sdk_author
rm -rf "$out"
cp -r "$WORK/moved/sdk/share/backplane/template" "$out"
"$CMAKE" -S "$out" -B "$out/build" -G Ninja -DCMAKE_PREFIX_PATH="$WORK/moved/sdk" -DCMAKE_C_COMPILER="$CC" -DCMAKE_CXX_COMPILER="$CXX" \
  >"$WORK/sdk.log"
"$CMAKE" --build "$out/build" >>"$WORK/sdk.log" || { cat "$WORK/sdk.log" >&2; exit 1; }

# One exported symbol, nothing wanted from a host.
built=$(find "$out/build" -name 'libbackplane_toy_*.so')
[ "$(wc -l <<<"$built")" -ge 2 ] || { echo "the template makes fewer than two plugins: $built" >&2; exit 1; }
for plugin in $built; do
  exported=$(nm -D --defined-only "$plugin" | awk '{ print $3 }' | sed 's/@.*//')
  [ "$exported" = backplane_plugin_v1 ] || { echo "$plugin exports $exported" >&2; exit 1; }
  if nm -D --undefined-only "$plugin" | grep -i backplane; then echo "$plugin wants the above of its host" >&2; exit 1; fi
done

mkdir -p "$out/plugins"
# shellcheck disable=SC2086
cp $built "$out/plugins/"
"$CXX" -std=c++20 "$here/library/main.cpp" -o "$out/consumer" -I"$WORK/moved/all/include" \
  "$(find "$WORK/moved/all" -name libbackplane.so)" -Wl,-rpath,"$(dirname "$(find "$WORK/moved/all" -name libbackplane.so)")"
for plugin in $built; do
  name=$(basename "$plugin" .so)
  BACKPLANE_PLUGIN_PATH=$out/plugins BACKPLANE_DEVICE=${name#libbackplane_} "$out/consumer" "$out/plugins"
done
