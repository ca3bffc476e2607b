#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Takes the fenced blocks of a Markdown file apart: extract.sh README.md out_dir writes 01.cpp, 02.sh, ... in their order,
# and, for a `text` block, expected.txt: what every C++ program must print.
set -euo pipefail
mkdir -p "$2"
rm -f "$2"/[0-9][0-9].* "$2/expected.txt"
awk -v out="$2" '
  /^```/ && !inside { inside = 1; kind = substr($0, 4)
                      file = kind == "text" ? out "/expected.txt" : sprintf("%s/%02d.%s", out, ++count, kind)
                      if (kind !~ /^(cpp|sh|text)$/) { print "unknown kind of block: " $0 > "/dev/stderr"; exit 1 }
                      next }
  /^```/            { inside = 0; close(file); next }
  inside            { print > file }
  END               { if (inside) { print "a block is not closed" > "/dev/stderr"; exit 1 } }' "$1"
