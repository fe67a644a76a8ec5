# Shared by the scripts beside it: stages that are said, Python >= 3.11, a virtual environment from locked versions.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

stage() { printf '== %s\n' "$*" >&2; }
fail() { printf 'error: %s\n' "$*" >&2; exit 1; }
is_root() { [ "$(id -u)" = 0 ]; }

# What apt-get asks is answered by its defaults, and no service of an installed package is started (RUNLEVEL=1).
apt_install() {
    local log
    log=$(mktemp)
    if { apt-get update -qq && DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get install -y -qq --no-install-recommends "$@"; } \
        >"$log" 2>&1 </dev/null; then
        rm -f "$log"
    else
        tail -n 5 "$log" >&2
        rm -f "$log"
        return 1
    fi
}

# The first Python that runs and is new enough; PYTHON=... names another one.
find_python() {
    local candidate
    for candidate in ${PYTHON:-python3 python3.13 python3.12 python3.11 python3.14}; do
        if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null </dev/null; then
            printf '%s\n' "$candidate"
            return
        fi
    done
    fail "Python >= 3.11 not found${PYTHON:+ as $PYTHON}; on Debian 12, Ubuntu 24.04 or newer: sudo apt-get install python3"
}

# Debian and Ubuntu keep ensurepip in python3-venv; without it pip comes from another pip, or from that package.
make_venv() {
    local python=$1
    rm -rf .venv
    if "$python" -c 'import ensurepip, venv' 2>/dev/null; then
        "$python" -m venv .venv
    elif "$python" -m pip --version >/dev/null 2>&1 && "$python" -c 'import venv' 2>/dev/null; then
        "$python" -m venv --without-pip .venv
        "$python" -m pip --python .venv/bin/python install -q pip
    elif is_root && command -v apt-get >/dev/null; then
        stage "installing python3-venv"
        apt_install python3-venv "$(basename "$(readlink -f "$(command -v "$python")")")-venv" || apt_install python3-venv ||
            fail "python3-venv could not be installed; see the lines above"
        "$python" -m venv .venv
    else
        fail "Python lacks its venv module; run: sudo apt-get install python3-venv"
    fi
}

# install LOCK: .venv holds what requirements/lock-LOCK.txt says and this checkout, editable. Nothing to do, nothing done.
install() {
    local lock=requirements/lock-$1.txt stamp=.venv/.installed-$1 python wanted
    python=$(find_python)
    wanted=$({ "$python" -VV; cat "$lock" requirements/lock-build.txt pyproject.toml; } | cksum)
    if [ -e "$stamp" ] && [ "$(cat "$stamp")" = "$wanted" ] && .venv/bin/python -c 'import deckwatch' 2>/dev/null; then
        return
    fi
    if ! .venv/bin/python -m pip --version >/dev/null 2>&1 ||
        [ "$(.venv/bin/python -VV)" != "$("$python" -VV)" ]; then
        stage "virtual environment .venv ($("$python" -V))"
        make_venv "$python"
    fi
    stage "installing locked versions from $lock"
    .venv/bin/python -m pip install -q --disable-pip-version-check --no-input -r "$lock" -r requirements/lock-build.txt </dev/null
    .venv/bin/python -m pip install -q --disable-pip-version-check --no-input --no-deps --no-build-isolation -e . </dev/null
    printf '%s\n' "$wanted" >"$stamp"
}
