#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Runs the shell blocks of the README line by line, in a place that looks like the source tree after `scripts/demo`: links
# to the sources, and this build tree as build/release. scripts/demo and scripts/test themselves build and test everything
# again: here they must exist and print their help; the test readme.demo runs the demo.
set -euo pipefail
umask 022
rm -rf "$WORK/tree"
mkdir -p "$WORK/tree/build"
cd "$WORK/tree"
for entry in "$SOURCE"/*; do
  [[ $(basename "$entry") == build* ]] || ln -s "$entry" .
done
ln -s "$BUILD" build/release

# Runs one line; an export lasts for the lines after it.
run() {
  echo "+ $1"
  eval "$1" </dev/null >"$WORK/output.txt" 2>&1 || { cat "$WORK/output.txt"; echo "failed: $1" >&2; exit 1; }
  [ -s "$WORK/output.txt" ] || [[ $1 =~ ^(cp|export) ]] || { echo "printed nothing: $1" >&2; exit 1; }
}

ran=0
for block in "$WORK"/blocks/*.sh; do
  while IFS= read -r line; do
    [ -n "$line" ] || continue
    case $line in
      scripts/demo | scripts/test) [ -x "$line" ] && bash -n "$line" && grep -q "^# *$line" "$line" ;;
      build/release/bin/backplane\ bench*)
        # Optional: without Google Benchmark there is no such program.
        if [ -e build/release/bin/backplane-bench ]; then run "$line"; else echo "not built, not run: $line"; fi
        ;;
      *) run "$line" ;;
    esac
    ran=$((ran + 1))
  done <"$block"
done
[ "$ran" -ge 10 ] || { echo "only $ran commands found: are the blocks still marked sh?" >&2; exit 1; }
# The links of the text lead somewhere.
grep -o '\]([A-Za-z0-9_./:-]*)' "$SOURCE/README.md" | sed 's/](\(.*\))/\1/' | while read -r link; do
  [[ $link == http* ]] || [ -e "$SOURCE/$link" ] || { echo "README.md links to $link, which does not exist" >&2; exit 1; }
done
