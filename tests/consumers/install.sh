#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Installs everything into one prefix and the component `sdk` alone into another, then moves both. Afterwards no installed
# text may name the place of the build or of the first prefix.
set -euo pipefail
umask 022
rm -rf "$WORK"
mkdir -p "$WORK/first"
"$CMAKE" --install "$BUILD" --prefix "$WORK/first/all" >"$WORK/install.log"
"$CMAKE" --install "$BUILD" --prefix "$WORK/first/sdk" --component sdk >>"$WORK/install.log"
mkdir "$WORK/moved"
mv "$WORK/first/all" "$WORK/first/sdk" "$WORK/moved/"

for text in "$SOURCE" "$BUILD" "$WORK/first"; do
  if grep -rIl --fixed-strings "$text" "$WORK/moved"; then
    echo "the files above name $text, which exists on this machine only" >&2
    exit 1
  fi
done

# The sdk holds only what an author of plugins needs: headers of the slot and of the SDK, no library, no Boost.
cd "$WORK/moved/sdk"
unexpected=$(find . -type f ! -regex '\./include/backplane/\(plugin\|peer\|collective\|dlpack\)\.h' \
  ! -path './include/backplane/sdk/*' ! -path './*/cmake/Backplane/*' ! -path './*/pkgconfig/backplane-plugin.pc' ! -path './share/*')
[ -z "$unexpected" ] || { echo "unexpected in the sdk component: $unexpected" >&2; exit 1; }
if grep -rIlE '#include *[<"](boost|fmt|spdlog|nlohmann|backplane/(host|graph))' .; then
  echo "the headers above need more than the sdk" >&2
  exit 1
fi
