# Sourced by course.sh and test.sh: `set_up` makes .venv with the versions that pyproject.toml states.
# A second run finds it unchanged and goes on at once; an interrupted one is made again from the start.
set -euo pipefail
root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
venv="$root/.venv"

say() { printf '[set-up] %s\n' "$*"; }

# Prints the first Python 3.11 on the path that can make virtual environments.
find_python() {
    local name
    for name in python3.11 python3 python; do
        if "$name" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null; then
            printf '%s\n' "$name"
            return
        fi
    done
    say 'Python 3.11 with its venv module was not found; install it (Debian: python3.11 and python3.11-venv;' >&2
    say 'elsewhere python.org, pyenv or conda env create -f environment.yml) and run this again.' >&2
    return 1
}

# swap_opencv PYTHON: where cv2 cannot load a system library (libGL on a bare machine), install the headless
# wheel of the same version, which has the same cv2 without windows.
swap_opencv() {
    local python="$1" error version
    if error="$("$python" -c 'import cv2' 2>&1)"; then
        return
    fi
    if [[ "$error" != *ImportError:*.so* ]]; then
        printf '%s\n' "$error" >&2
        return 1
    fi
    version="$("$python" -c 'from importlib.metadata import version; print(version("opencv-python"))')"
    say "a system library that OpenCV needs is missing (${error##*ImportError: })"
    say "opencv-python-headless $version takes the place of opencv-python"
    "$python" -m pip uninstall --quiet --yes opencv-python
    "$python" -m pip install --quiet --no-deps --force-reinstall "opencv-python-headless==$version"
    "$python" -c 'import cv2'
}

# cpu_torch PYTHON: PyTorch, with which tests compare, as its own index has it for Linux without CUDA. Where that index
# is out of reach, pip takes the build of the usual one later on, whose CUDA is 2.7 GB to fetch.
cpu_torch() {
    local wanted
    wanted="$(grep -oEm1 'torch==[0-9.]+' "$root/pyproject.toml" || true)"
    if [[ -n "$wanted" && "$(uname -s)" == Linux ]]; then
        "$1" -m pip install --quiet --disable-pip-version-check --retries 0 --timeout 10 --no-deps \
            --index-url https://download.pytorch.org/whl/cpu "$wanted" 2>/dev/null || true
    fi
}

# current EXTRA: was .venv completed here, with EXTRA, from the pyproject.toml of today?
current() {
    [[ -x "$venv/bin/python" ]] && cmp -s "$root/pyproject.toml" "$venv/done-$1.toml" &&
        [[ "$(cat "$venv/done-here" 2>/dev/null)" == "$root" ]]
}

# set_up course|test: the packages for the lessons, or these and the test tools.
set_up() {
    local what="$1" python extra='' quiet=''
    if current test || current "$what"; then
        return
    fi
    [[ "$what" == test ]] && extra='[test]'
    [[ -t 1 ]] || quiet=--quiet # a person sees pip's progress, a log file does not
    if ! current course; then # new, moved, changed or interrupted
        python="$(find_python)"
        say "making $venv with $("$python" --version)"
        "$python" -m venv --clear "$venv"
    fi
    rm -f "$venv"/done-*
    say 'installing the packages that pyproject.toml names (about 4 GB on disk, minutes at the first time)'
    [[ "$what" != test ]] || cpu_torch "$venv/bin/python"
    "$venv/bin/python" -m pip install $quiet --disable-pip-version-check -e "$root$extra"
    swap_opencv "$venv/bin/python"
    printf '%s\n' "$root" >"$venv/done-here"
    cp "$root/pyproject.toml" "$venv/done-$what.toml"
    say 'done'
}
