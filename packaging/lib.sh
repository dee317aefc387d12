# Shared by the scripts beside it: what to install, and how to say what is going on.
set -euo pipefail

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$top"

build_packages=(g++ cmake ninja-build pkg-config ccache libboost1.81-dev libboost-json1.81-dev
    librocksdb-dev libyaml-cpp-dev libsodium-dev libspdlog-dev libssl-dev libcurl4-openssl-dev
    libcli11-dev libseccomp-dev libhowardhinnant-date-dev tzdata ca-certificates)
test_packages=(catch2 python3 rustc cargo libtest-json-schema-acceptance-perl openssl curl binutils procps
    iproute2 ngircd inspircd dovecot-imapd dovecot-submissiond opensmtpd clang abigail-tools)
# Any npm will do: other builds of Node bring their own, which Debian's cannot be put beside.
command -v npm >/dev/null || test_packages+=(npm)

say() { printf '\n== %s\n' "$*"; }
die() { printf '\nFAILED: %s\n' "$*" >&2; exit 1; }

# The IRC servers are for the tests, which start their own: none is to run as a service. The policy
# is taken away again even when the install is interrupted.
policy=/usr/sbin/policy-rc.d
policy_is_ours=no
no_services() {
    [ -e $policy ] && return
    policy_is_ours=yes
    trap services_again EXIT
    trap 'exit 130' INT TERM
    printf '#!/bin/sh\nexit 101\n' | "${root[@]}" tee $policy >/dev/null
    "${root[@]}" chmod 755 $policy
}
services_again() {
    trap - EXIT INT TERM
    [ $policy_is_ours = no ] || "${root[@]}" rm -f $policy
    policy_is_ours=no
}

# Installs what is missing of the packages named; asks apt only when something is.
need() {
    local missing=() package
    for package in "$@"; do
        dpkg-query -W -f='${db:Status-Status}\n' "$package" 2>/dev/null | grep -qx installed || missing+=("$package")
    done
    [ ${#missing[@]} -eq 0 ] && return
    say "installing ${missing[*]}"
    command -v apt-get >/dev/null || die "packages are missing and there is no apt-get; on another system than Debian 12, install their like: ${missing[*]}"
    root=()
    if [ "$(id -u)" -ne 0 ]; then
        command -v sudo >/dev/null || die "packages are missing and there is neither root nor sudo: ${missing[*]}"
        root=(sudo)
    fi
    local apt=("${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q -o Dpkg::Use-Pty=0)
    "${apt[@]}" update || die "apt-get update failed; the lines above say why"
    no_services
    # Another program of the operator's, such as a mail server, is not pushed aside by ours.
    "${apt[@]}" install -y --no-remove --no-install-recommends "${missing[@]}" ||
        die "apt could not install: ${missing[*]}"
    services_again
}

# From npm: declarations and prices that tests are held against, and stand-ins for services that others
# wrote, with the Node that they need, which tests run on loopback. No script of an installation is run.
npm_packages() {
    local folder
    for folder in tests/npm/*/; do
        [ "${folder}node_modules/.package-lock.json" -nt "${folder}package-lock.json" ] && continue
        say "installing what ${folder}package-lock.json names"
        npm ci --prefix "$folder" --ignore-scripts --no-audit --no-fund ||
            die "npm could not install it; the lines above say why"
    done
}

# Configures and builds a preset; the rest are targets.
build() {
    local preset=$1 log=build/$1-configure.log fresh=--fresh
    shift
    export CCACHE_BASEDIR=$top
    # A tree that was moved, or configured for another, begins anew.
    grep -qsx "CMAKE_HOME_DIRECTORY:INTERNAL=$top" "build/$preset/CMakeCache.txt" && fresh=
    say "configuring ($preset)"
    mkdir -p build
    cmake --preset "$preset" $fresh >"$log" 2>&1 || {
        cat "$log"
        die "cmake could not configure the preset $preset; the lines above are in $top/$log"
    }
    say "building ($preset)"
    cmake --build --preset "$preset" ${1+--target "$@"} ||
        die "the build of the preset $preset failed; the lines above say where"
}
