#!/usr/bin/env bash
# Install MindSpore Lite, the run time of an Ascend 310, in .lite, where posekit finds it. Its package is for Python 3.7
# only, so it gets its own environment, made with the first python3.7 on the path or in pyenv.
set -euo pipefail
root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
works() { "$root/.lite/bin/python" -c 'import mindspore_lite' 2>/dev/null; }

if works; then
    echo 'MindSpore Lite is in .lite'
    exit
fi
for python in python3.7 "${PYENV_ROOT:-${HOME:-}/.pyenv}"/versions/3.7.*/bin/python; do
    if "$python" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info[:2] != (3, 7))' 2>/dev/null; then
        "$python" -m venv --clear "$root/.lite"
        "$root/.lite/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes \
            -r "$root/scripts/locks/lite.lock"
        works
        echo "MindSpore Lite is in .lite, with $("$python" --version)"
        exit
    fi
done
echo 'Python 3.7 with its venv module was not found; install it (pyenv install 3.7.17, or conda create -p DIR' >&2
echo 'python=3.7 and put DIR/bin on the path) and run this again.' >&2
exit 1
