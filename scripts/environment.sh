# shellcheck shell=sh
# Sourced by the other scripts: makes .venv if there is none, and installs the project and the extras named into it.
# A stamp remembers what was installed, so that the second call takes no time.

say() { printf '%s\n' "$*" >&2; }

stop() {
    say "$0: $*"
    exit 3
}

find_python() {
    for candidate in "${PYTHON:-}" python3 python3.14 python3.13 python3.12 python3.11; do
        [ -n "$candidate" ] || continue
        if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            printf '%s' "$candidate"
            return
        fi
    done
    stop "no Python 3.11 or later: apt-get install python3 (Debian 12, Ubuntu 24.04 or later), or set PYTHON"
}

prepare() { # prepare EXTRA: '' or '[dev]'
    cd "$(dirname "$0")/.." || exit 1
    stamp=".venv/.installed$1"
    if [ ! -e "$stamp" ] || [ pyproject.toml -nt "$stamp" ]; then
        python=$(find_python) || exit 3
        if [ ! -x .venv/bin/python ]; then
            say "making .venv with $python"
            "$python" -m venv .venv || stop "this Python cannot make environments: apt-get install python3-venv"
        fi
        say "installing liveness$1 into .venv"
        .venv/bin/python -m pip install --quiet --disable-pip-version-check --editable ".$1" ||
            stop "the installation failed: is a package index reachable?"
        touch "$stamp"
    fi
    PATH="$PWD/.venv/bin:$PATH"
    export PATH
}

need_private_network() {
    problem=$(python -c '
import sys
from liveness.errors import LivenessError
from liveness.system.namespace import enter_private_network
try:
    enter_private_network()
except LivenessError as error:
    sys.exit(str(error))
' 2>&1) || stop "$problem"
}
