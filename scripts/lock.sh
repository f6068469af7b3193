#!/usr/bin/env bash
# Make scripts/locks/*.lock from pyproject.toml: bash scripts/lock.sh [uv's options, e.g. --upgrade]
# They list every package that setup.sh installs on Linux x86-64, transitive ones too, with the hashes of its files.
# A locked package keeps its version unless pyproject.toml or --upgrade asks for another.
# If you can't reach PyTorch's own index, set TORCH_WHEELS to a folder that has its CPU build.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/setup.sh"
cd "$root"
tool="$(mktemp -d)"
trap 'rm -rf "$tool"' EXIT

pinned() { grep -oEm1 "\b$1==[0-9.]+" pyproject.toml; }

# lock NAME PYTHON [OPTION…]: lock the requirements on standard input, and in pyproject.toml if the options name it.
lock() {
    "$tool/bin/uv" pip compile - --quiet --system-certs --python-version "$2" --python-platform linux \
        --only-binary :all: --generate-hashes --no-annotate --output-file "scripts/locks/$1.lock" \
        --custom-compile-command 'bash scripts/lock.sh' "${@:3}" >/dev/null
    say "scripts/locks/$1.lock is up to date"
}

"$(find_python)" -m venv "$tool"
"$tool/bin/python" -m pip install --quiet --disable-pip-version-check "$(pinned uv)"
mkdir -p "$locks"
# Building posekit itself needs setuptools.
pinned setuptools | lock course 3.11 pyproject.toml "$@"
# PyTorch has two builds with different dependencies, so each has its own lock file, and test.lock has neither.
wheels="${TORCH_WHEELS:-https://download.pytorch.org/whl/cpu/torch/}"
pinned setuptools | lock test 3.11 pyproject.toml --extra test --extra site --constraint scripts/locks/course.lock \
    --find-links "$wheels" --no-emit-package torch "$@"
pinned torch | lock torch-cpu 3.11 --constraint scripts/locks/test.lock --find-links "$wheels" "$@"
pinned torch | lock torch-cuda 3.11 --constraint scripts/locks/test.lock "$@"
pinned opencv-python | sed 's/==/-headless==/' | lock opencv-headless 3.11 --no-deps "$@"
grep '^lite = ' pyproject.toml | grep -oE '[a-z-]+==[0-9.]+' | lock lite 3.7 "$@"
