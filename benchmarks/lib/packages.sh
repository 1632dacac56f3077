#!/bin/bash
# Packages of npm and PyPI for what the benchmarks compare with, out of lock
# files: for the scripts `install` of entrants and of the cross-check, by `.`.
# They go into DIR/packages, which is made anew when the lock file changed and
# else left alone; DIR may hold what is the caller's.
# It must never change a lock file, run a package's own install script, write
# anything outside of DIR, or leave a half that looks like a whole.
#
#     . lib/packages.sh
#     packages_npm FROM DIR   FROM/package.json and package-lock.json
#     packages_pip LOCK DIR   a virtual environment with what LOCK names, for
#                             Python 3.11 and newer
#
# Both print nothing and return when all is there.  Else they end the script:
# 77 and one line when it cannot be had here, 1 and the end of the log when
# something went wrong.

# seconds for one installation, and what no log line comes without when a
# registry does not answer (npm's words, then pip's)
packages_limit=600
packages_away='ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT'
packages_away="$packages_away|ENETUNREACH|EHOSTUNREACH|ERR_SOCKET_TIMEOUT"
packages_away="$packages_away|NewConnectionError|ConnectTimeoutError"
packages_away="$packages_away|ReadTimeoutError|Name or service not known"
packages_away="$packages_away|Temporary failure in name resolution"

# and one that does not have what the lock file names (pip's words, then npm's)
packages_lacks='No matching distribution found|code (E403|E404|ETARGET)'

packages_skip() {
    echo "$1"
    exit 77
}

# packages_failed LOG STATUS
packages_failed() {
    [ "$2" -eq 124 ] &&
        packages_skip "not installed within $packages_limit s"

    grep -qE "$packages_away" "$1" &&
        packages_skip "the package registry could not be reached"

    grep -qE "$packages_lacks" "$1" &&
        packages_skip "the package registry lacks one: $(
            grep -E "$packages_lacks" "$1" | head -n 1)"

    tail -n 12 "$1"
    exit 1
}

# packages_begin DIR STAMP: waits for another that installs there; false: all
# is there
packages_begin() {
    mkdir -p "$1"
    exec 9>"$1/packages.lock"
    flock 9

    [ "$(cat "$1/packages/.stamp" 2>/dev/null)" != "$2" ]
}

packages_npm() {
    local from=$1 dir=$2 new=$2/packages.new want status

    command -v node >/dev/null || packages_skip "no node"
    command -v npm >/dev/null || packages_skip "no npm"

    want=$(cat "$from/package.json" "$from/package-lock.json" | sha256sum)
    packages_begin "$dir" "$want" || return 0

    rm -rf "$new"
    mkdir -p "$new"
    cp "$from/package.json" "$from/package-lock.json" "$new/"

    (cd "$new" && exec timeout "$packages_limit" npm ci --ignore-scripts \
        --no-audit --no-fund --omit-lockfile-registry-resolved) \
        >"$dir/packages.log" 2>&1 </dev/null 9>&-
    status=$?
    [ "$status" -eq 0 ] || packages_failed "$dir/packages.log" "$status"

    echo "$want" >"$new/.stamp"
    rm -rf "$dir/packages"
    mv "$new" "$dir/packages"
}

# a virtual environment knows its own path: made in place, the stamp comes last
packages_pip() {
    local lock=$1 dir=$2 env=$2/packages want status

    python3 -m venv --help >/dev/null 2>&1 ||
        packages_skip "no python3 with venv"
    python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
        packages_skip "no Python 3.11 or newer, which the lock file is for"

    want=$({ cat "$lock" && python3 --version; } | sha256sum)
    packages_begin "$dir" "$want" || return 0

    rm -rf "$env"
    { python3 -m venv "$env" &&
      timeout "$packages_limit" "$env/bin/pip" install --no-input \
          --disable-pip-version-check --no-deps --require-hashes \
          --only-binary :all: -r "$lock"; } \
        >"$dir/packages.log" 2>&1 </dev/null 9>&-
    status=$?
    [ "$status" -eq 0 ] || packages_failed "$dir/packages.log" "$status"

    echo "$want" >"$env/.stamp"
}
