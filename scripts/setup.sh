# Sourced by course.sh and test.sh: `set_up` makes .venv with the packages of scripts/locks, hashes checked. Those are
# for Linux x86-64; elsewhere it takes the versions that pyproject.toml states and the newest of what those need.
# A second run finds .venv complete and returns at once; an interrupted one starts over.
set -euo pipefail
root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
venv="$root/.venv"
locks="$root/scripts/locks"

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
    "$python" -m pip install --quiet --no-deps --force-reinstall --require-hashes -r "$locks/opencv-headless.lock"
    "$python" -c 'import cv2'
}

# A person sees pip's progress, a log file does not.
pip_install() {
    local quiet=''
    [[ -t 1 ]] || quiet=--quiet
    "$venv/bin/python" -m pip install $quiet --disable-pip-version-check "$@"
}

# cpu_torch REQUIREMENT…: PyTorch, with which tests compare, as its own index has it for Linux without CUDA.
cpu_torch() {
    if ! pip_install --retries 0 --timeout 10 --index-url https://download.pytorch.org/whl/cpu "$@" 2>/dev/null; then
        say "PyTorch's own index is out of reach; the usual one has a build with CUDA (2.7 GB to download)"
        return 1
    fi
}

# install_locked course|test: every package by its hash, then posekit itself with the setuptools among them. The locks
# have all that is needed; pip, asked for more, refuses a package's extra once that has a newer version.
install_locked() {
    say "installing the packages of scripts/locks/$1.lock (about 4 GB on disk; takes minutes the first time)"
    pip_install --no-deps --require-hashes --only-binary :all: -r "$locks/$1.lock"
    if [[ "$1" == test ]] && ! cpu_torch --no-deps --require-hashes -r "$locks/torch-cpu.lock"; then
        pip_install --no-deps --require-hashes -r "$locks/torch-cuda.lock"
    fi
    (cd "$root" && pip_install --no-deps --no-build-isolation -e .) # a path that ends in [x] would name an extra
}

# install_unlocked course|test: the versions that pyproject.toml states, and the newest of what those need.
install_unlocked() {
    local extra=''
    say 'scripts/locks has hashes for Linux x86-64 only: installing the packages that pyproject.toml names, without'
    if [[ "$1" == test ]]; then
        extra='[test]'
        [[ "$(uname -s)" != Linux ]] || cpu_torch --no-deps "$(grep -oEm1 'torch==[0-9.]+' "$root/pyproject.toml")" || true
    fi
    (cd "$root" && pip_install -e ".$extra")
}

# wanted: what .venv is made from.
wanted() { cat "$root/pyproject.toml" "$locks"/*.lock; }

# current EXTRA: was .venv completed here, with EXTRA, from the pyproject.toml and lock files of today?
current() {
    [[ -x "$venv/bin/python" ]] && wanted | cmp -s - "$venv/done-$1" &&
        [[ "$(cat "$venv/done-here" 2>/dev/null)" == "$root" ]]
}

# set_up course|test: the packages for the lessons, or these and the test tools.
set_up() {
    local what="$1" python
    if current test || current "$what"; then
        return
    fi
    if ! current course; then # new, moved, changed or interrupted
        python="$(find_python)"
        say "making $venv with $("$python" --version)"
        "$python" -m venv --clear "$venv"
    fi
    rm -f "$venv"/done-*
    if [[ "$(uname -sm)" == 'Linux x86_64' ]]; then
        install_locked "$what"
    else
        install_unlocked "$what"
    fi
    swap_opencv "$venv/bin/python"
    printf '%s\n' "$root" >"$venv/done-here"
    wanted >"$venv/done-$what"
    say 'done'
}
