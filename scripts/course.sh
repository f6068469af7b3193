#!/usr/bin/env bash
# Set up .venv if needed, then run the lessons from first to last: bash scripts/course.sh [--scale laptop] [--only 04] …
# Without --scale at the quick one: every lesson, shortened trainings, lessons 06 to 08 on the networks that ship.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/setup.sh"
set_up course
cd "$root"
exec "$venv/bin/python" -m posekit.cli course run "$@"
