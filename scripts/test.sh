#!/usr/bin/env bash
# Set up .venv if needed, then run the tests: bash scripts/test.sh [--quick] [pytest arguments]
#
#   --quick      only tests that train nothing and start no program (the first of three tiers), up to 2 minutes
#   -m slow      the second tier: tests that train or start programs
#   -m machine   the third tier: tests that need all cores: distributed training, Slurm, parallel lessons, a browser
#
# All tests take up to 15 minutes on two cores. They are spread over worker processes, each with its own cores; -n 0 runs
# them in one process. Set POSEKIT_ANNOTATIONS=DIR (the real label files) to run the tests that need those, too.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/setup.sh"
set_up test
cd "$root"
export MPLBACKEND=Agg GLOG_v="${GLOG_v:-3}"
options=()
# 1 if the system can't pin a process to cores.
cores="$("$venv/bin/python" -c 'import os; print(len(getattr(os, "sched_getaffinity", lambda _: [0])(0)))')"
if ((cores > 1)); then
    options=(-n "$((cores < 4 ? cores : 4))" --dist loadfile --no-loadscope-reorder) # each worker needs gigabytes of memory
    options+=(--max-worker-restart 0) # pytest-xdist would wait for ever for the tests of a worker that died
fi
if [[ "${1:-}" == --quick ]]; then
    shift
    options+=(-m 'not slow and not machine')
fi
exec "$venv/bin/python" -m pytest "${options[@]}" "$@"
