#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A program finds the moved library with find_package, is built against it, and finds its plugins there. A component that
# is not installed is refused by name.
set -euo pipefail
umask 022
here=$(dirname "${BASH_SOURCE[0]}")
out=$WORK/find_package
"$CMAKE" -S "$here/library" -B "$out" -G Ninja -DCMAKE_PREFIX_PATH="$WORK/moved/all" -DCMAKE_CXX_COMPILER="$CXX" >"$WORK/find_package.log"
"$CMAKE" --build "$out" >>"$WORK/find_package.log" || { cat "$WORK/find_package.log" >&2; exit 1; }
env -u LD_LIBRARY_PATH -u BACKPLANE_PLUGIN_PATH "$out/consumer" "$WORK/moved/all"

if "$CMAKE" -S "$here/library" -B "$out-sdk" -G Ninja -DCMAKE_PREFIX_PATH="$WORK/moved/sdk" -DCMAKE_CXX_COMPILER="$CXX" \
  >"$WORK/refused.log" 2>&1; then
  echo "the sdk component alone passed for the library" >&2
  exit 1
fi
grep -q "component 'backplane' is not in" <(tr '\n' ' ' <"$WORK/refused.log" | tr -s ' ') || { cat "$WORK/refused.log" >&2; exit 1; }
