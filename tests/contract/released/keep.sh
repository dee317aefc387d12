#!/usr/bin/env bash
# Keeps plugins that were built with the SDK of this release, for every later host to load:
#
#     tests/contract/released/keep.sh build/release
#
# installs the SDK of that build tree into an empty prefix, makes a skill in C, a channel and a provider
# in C++ of its templates as a stranger would, and writes the stripped files to released/VERSION/. What
# a release shipped with is never built again: the script refuses a version that is tagged.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
[ $# -eq 1 ] && [ -x "$1/bin/parley" ] || { echo "usage: keep.sh BUILD, a build tree with bin/parley in it" >&2; exit 2; }
build=$(cd "$1" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

cmake --install "$build" --component sdk --prefix "$work/sdk" >/dev/null
package=$(find "$work/sdk" -name parley-sdk.pc)
version=$(sed -n 's/^Version: //p' "$package")
if git -C "$here" rev-parse -q --verify "refs/tags/v$version" >/dev/null 2>&1; then
    echo "$version is released: its files stay as they are" >&2
    exit 1
fi

export PARLEY_TEMPLATES=$work/sdk/share/parley/templates
export CMAKE_GENERATOR=Ninja
rm -rf "${here:?}/$version"
mkdir "$here/$version"
while read -r language role name; do
    "$build/bin/parley" plugin new "$language" "$work/$name" --role "$role" --id "org.kept.$name" >/dev/null
    cmake -S "$work/$name" -B "$work/$name/build" -DCMAKE_PREFIX_PATH="$work/sdk" -DCMAKE_BUILD_TYPE=Release >/dev/null
    cmake --build "$work/$name/build" >/dev/null
    strip -o "$here/$version/${role}_$name.so" "$work/$name/build/${role}_$name.so"
done <<'PLUGINS'
c skill words
cpp channel lines
cpp provider backwards
PLUGINS
ls -l "$here/$version"
