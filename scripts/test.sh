#!/usr/bin/env bash
# Set-up where needed, then the tests: bash scripts/test.sh [--quick] [pytest arguments]
#
#   --quick      only tests that train nothing and start no program: the first of three tiers, up to 2 minutes
#   -m slow      the second: tests that do
#   -m machine   the third: tests that need every core, for distributed training, Slurm, lessons at the same time, a browser
#
# All together take up to 12 minutes on two cores. They are spread over worker processes, each with cores of its own;
# -n 0 runs them in one process. With POSEKIT_ANNOTATIONS=DIR (the real label files) the tests that need those run too.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/setup.sh"
set_up test
cd "$root"
export MPLBACKEND=Agg GLOG_v="${GLOG_v:-3}"
options=()
# One where the system can't keep a process to its cores.
cores="$("$venv/bin/python" -c 'import os; print(len(getattr(os, "sched_getaffinity", lambda _: [0])(0)))')"
if ((cores > 1)); then
    options=(-n "$((cores < 4 ? cores : 4))" --dist loadfile --no-loadscope-reorder) # each takes gigabytes of memory
fi
if [[ "${1:-}" == --quick ]]; then
    shift
    options+=(-m 'not slow and not machine')
fi
exec "$venv/bin/python" -m pytest "${options[@]}" "$@"
