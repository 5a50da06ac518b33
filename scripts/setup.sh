#!/bin/sh
# Installs what is missing for building (with the argument `test`: also for testing) Clickmill:
# Debian packages by the list beside this file, npm packages by web/package-lock.json (and for tests
# by tests/browser/package-lock.json). With the argument `stack`: what the real engines of stack/
# need; with `bench`: what the collector is measured with. Says what and why before it does; says
# nothing and changes nothing when all is there.
set -eu

stage=${1:-build}
scripts=$(dirname "$0")
root=$scripts/..
list=$scripts/debian-packages.txt

say() { printf 'setup: %s\n' "$*" >&2; }

# The packages of a stage as "name why" lines.
listed() {
    sed -n "s/^\([a-z0-9.+-]*\) *# $1: \(.*\)/\1 \2/p" "$list"
}

# True when JAVA_HOME or PATH leads to a whole JDK 17, the one release that all engines run on.
# stack/cache.py looks in the same places.
java_is_there() {
    for java in "${JAVA_HOME:-/none}/bin/java" "$(command -v java)"; do
        [ -x "$java" ] || continue
        case $("$java" -version 2>&1) in
        *'version "17'*) ;;
        *) continue ;;
        esac
        home=$(dirname "$(readlink -f "$java")")
        [ -x "$home/javac" ] && return 0
    done
    return 1
}

# What the engines need; a program from elsewhere is as good as Debian's.
wanted_stack() {
    listed stack | while read -r name why; do
        case $name in
        openjdk-17-jdk-headless) java_is_there && continue ;;
        maven) command -v mvn >/dev/null && continue ;;
        openssl) command -v openssl >/dev/null && continue ;;
        python3-venv) python3 -c 'import ensurepip' 2>/dev/null && continue ;;
        esac
        printf '%s %s\n' "$name" "$why"
    done
}

# A program of Debian's that only root has in PATH.
have() {
    PATH=$PATH:/usr/sbin command -v "$1" >/dev/null
}

# wrk; nginx is not installed, see unpack_nginx.
wanted_bench() {
    listed bench | while read -r name why; do
        [ "$name" = nginx ] || have "$name" || printf '%s %s\n' "$name" "$why"
    done
}

# "name why" lines of the stages that were asked for.
wanted() {
    if [ "$stage" = bench ]; then
        wanted_bench
        return
    fi
    if [ "$stage" = stack ]; then
        wanted_stack
        return
    fi
    listed build
    if [ "$stage" = test ]; then
        listed test
    fi
    # npm from elsewhere is as good as Debian's.
    if [ -f "$root/web/package-lock.json" ] && ! command -v npm >/dev/null; then
        echo 'npm fetches what the dashboard is made of'
    fi
}

# "name why" lines of the wanted packages that are not installed.
missing() {
    installed=$(dpkg-query -W -f '${db:Status-Abbrev} ${Package}\n' | sed -n 's/^ii  *//p')
    wanted | while read -r name why; do
        case "
$installed
" in
        *"
$name
"*) ;;
        *) printf '%s %s\n' "$name" "$why" ;;
        esac
    done
}

install_debian() {
    lines=$(missing)
    [ -n "$lines" ] || return 0
    say 'these Debian packages are missing and will be installed:'
    printf '%s\n' "$lines" | while read -r name why; do
        printf '  %-19s %s\n' "$name" "$why" >&2
    done
    names=$(printf '%s\n' "$lines" | cut -d ' ' -f 1)
    as_root=
    if [ "$(id -u)" -ne 0 ]; then
        as_root=sudo
        if ! command -v sudo >/dev/null; then
            # shellcheck disable=SC2086 # one word a name
            say "they need root, and there is no sudo; run as root: apt-get install" $names
            exit 1
        fi
    fi
    # shellcheck disable=SC2086 # one word a name; no word when we are root
    if ! $as_root apt-get update -q >&2 ||
        ! $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y \
            --no-install-recommends -o DPkg::Lock::Timeout=300 $names >&2; then
        say 'apt-get failed, its reason is above; put it right and run this again'
        exit 1
    fi
}

# Installing nginx would start a web server on port 80, now and whenever the machine starts. So its
# package is only unpacked, in build/bench/nginx, from where bench/collect.py runs it; the libraries
# that it needs are there for the build.
unpack_nginx() {
    to=$root/build/bench/nginx
    if have nginx || [ -x "$to/usr/sbin/nginx" ]; then
        return 0
    fi
    say 'unpacking the Debian package nginx in build/bench/nginx (not installed: that would start it)'
    mkdir -p "$to"
    if ! (cd "$to" && apt-get download -q nginx >&2 && dpkg-deb -x nginx_*.deb .); then
        say 'that failed, the reason is above; after `apt-get update` run this again'
        exit 1
    fi
}

# Installs what the lock file in directory $1 names in build/$2; $3 says what for. So the working
# tree stays clean; the copy of the lock file that is written last says that they are complete.
install_npm() {
    from=$root/$1
    to=$root/build/$2
    [ -f "$from/package-lock.json" ] || return 0
    cmp -s "$from/package-lock.json" "$to/installed-lock.json" && return 0
    say "installing the npm packages of $1/package-lock.json in build/$2 ($3)"
    mkdir -p "$to"
    rm -f "$to/installed-lock.json"
    cp "$from/package.json" "$from/package-lock.json" "$to/"
    if ! (cd "$to" && npm ci --ignore-scripts --no-audit --no-fund --no-update-notifier \
        --loglevel=error >&2); then
        say 'npm failed, its reason is above; put it right and run this again'
        exit 1
    fi
    cp "$from/package-lock.json" "$to/installed-lock.json"
}

case $stage in
build | test | stack | bench) ;;
*)
    say "unknown stage $stage; it is build, test, stack or bench"
    exit 2
    ;;
esac
if ! command -v apt-get >/dev/null || ! command -v dpkg-query >/dev/null; then
    say 'this is not Debian 12 or newer, or a relative with apt-get, so nothing is installed here.'
    if [ "$stage" = stack ] || [ "$stage" = bench ]; then
        say 'Install what these Debian packages hold:'
    else
        say 'Install what these Debian packages hold, then: meson setup build && ninja -C build'
    fi
    wanted | while read -r name why; do
        printf '  %-19s %s\n' "$name" "$why" >&2
    done
    exit 1
fi
install_debian
case $stage in
stack) ;;
bench) unpack_nginx ;;
*) install_npm web web 'for the dashboard, the tracker and the enrichment' ;;
esac
if [ "$stage" = test ]; then
    install_npm tests/browser browser 'to drive Chromium'
fi
