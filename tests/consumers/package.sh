#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The archive of scripts/package, unpacked elsewhere, runs with an empty environment; where the right to change the root
# directory exists, also on a file system that holds nothing but it and the C and C++ libraries.
set -euo pipefail
umask 022
here=$(dirname "${BASH_SOURCE[0]}")
out=$WORK/package
rm -rf "$out"
mkdir -p "$out/elsewhere"
"$SOURCE/scripts/package" --build "$BUILD" --output "$out"
tar -C "$out/elsewhere" -xzf "$out"/backplane-*.tar.gz
tree=$(echo "$out"/elsewhere/backplane-*)

environment=(BACKPLANE_CACHE_DIR="$out/cache" BACKPLANE_DEVICE="$BACKPLANE_DEVICE")
library=$(find "$tree" -name libbackplane.so)
"$CXX" -std=c++20 "$here/library/main.cpp" -o "$tree/bin/consumer" -I"$tree/include" "$library" \
  -Wl,-rpath,"\$ORIGIN/$(realpath --relative-to="$tree/bin" "$(dirname "$library")")" \
  -Wl,-rpath-link,"$(dirname "$library")/backplane/deps"
env -i "${environment[@]}" "$tree/bin/consumer" "$tree"
if [ -e "$tree/bin/backplane" ]; then
  env -i "${environment[@]}" "$tree/bin/backplane" version
  env -i "${environment[@]}" "$tree/bin/backplane" devices
fi

# Nothing of this machine but glibc and libstdc++.
root=$out/root
mkdir -p "$root/opt" "$root/tmp" "$root/proc" "$root/dev"
for library in ld-linux-x86-64.so.2 libc.so.6 libm.so.6 libdl.so.2 libpthread.so.0 librt.so.1 libstdc++.so.6 libgcc_s.so.1; do
  path=$(ldconfig -p | awk -v want="$library" '$1 == want && !seen++ { print $NF }')
  [ -n "$path" ] || continue
  mkdir -p "$root$(dirname "$path")" "$root/lib64" "$root/lib/x86_64-linux-gnu"
  cp -L "$path" "$root/lib/x86_64-linux-gnu/"
done
cp -L /lib64/ld-linux-x86-64.so.2 "$root/lib64/"
cp -r "$tree" "$root/opt/backplane"
mkdir -p "$root/etc"
own_root=(unshare --mount)
[ "$(id -u)" = 0 ] || own_root+=(--user --map-root-user)
# /proc is what the loader finds $ORIGIN with.
if "${own_root[@]}" mount --rbind /proc "$root/proc" 2>/dev/null; then
  "${own_root[@]}" sh -c 'mount --rbind /proc "$1/proc" && mount --rbind /dev "$1/dev" && exec chroot "$1" /opt/backplane/bin/consumer /opt/backplane' sh "$root"
  echo "ran on a bare file system"
else
  echo "no right to change the root directory here: the bare file system was not tried"
fi
