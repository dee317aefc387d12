# Shared by the scripts beside it: what to install, and how to say what is going on.
set -euo pipefail

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$top"

build_packages=(g++ cmake ninja-build pkg-config ccache libboost1.81-dev libboost-json1.81-dev
    librocksdb-dev libyaml-cpp-dev libsodium-dev libspdlog-dev libssl-dev libcurl4-openssl-dev
    libcli11-dev libseccomp-dev)
test_packages=(catch2 python3 openssl binutils procps ngircd inspircd)

say() { printf '\n== %s\n' "$*"; }
die() { printf '\nFAILED: %s\n' "$*" >&2; exit 1; }

# Installs what is missing of the packages named; asks apt only when something is.
need() {
    local missing=() package
    for package in "$@"; do
        dpkg-query -W -f='${db:Status-Status}\n' "$package" 2>/dev/null | grep -qx installed || missing+=("$package")
    done
    [ ${#missing[@]} -eq 0 ] && return
    say "installing ${missing[*]}"
    local root=()
    if [ "$(id -u)" -ne 0 ]; then
        command -v sudo >/dev/null || die "packages are missing and there is neither root nor sudo: ${missing[*]}"
        root=(sudo)
    fi
    # The IRC servers are for the tests, which start their own; none is to run as a service.
    local policy=/usr/sbin/policy-rc.d made=no
    if [ ! -e $policy ]; then
        printf '#!/bin/sh\nexit 101\n' | "${root[@]}" tee $policy >/dev/null
        "${root[@]}" chmod 755 $policy
        made=yes
    fi
    local failed=no
    "${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get update -q || failed=yes
    [ $failed = yes ] || "${root[@]}" env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -q --no-install-recommends "${missing[@]}" || failed=yes
    [ $made = no ] || "${root[@]}" rm -f $policy
    [ $failed = no ] || die "apt could not install: ${missing[*]}"
}

# Configures and builds a preset; the rest are targets.
build() {
    local preset=$1
    shift
    export CCACHE_BASEDIR=$top
    say "building ($preset)"
    [ -f "build/$preset/build.ninja" ] || cmake --preset "$preset" >"/tmp/parley-configure-$$.log" 2>&1 || {
        cat "/tmp/parley-configure-$$.log"
        die "cmake could not configure the preset $preset"
    }
    rm -f "/tmp/parley-configure-$$.log"
    cmake --build --preset "$preset" ${1+--target "$@"} || die "the build of the preset $preset failed; the lines above say where"
}
