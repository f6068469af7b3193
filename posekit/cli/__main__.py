"""python -m posekit.cli, and the `posekit` command."""

import sys


def main() -> None:
    """Import the commands and run one; Ctrl-C while they are imported is one line, too."""
    try:
        from posekit.cli.main import main as run

        run()
    except KeyboardInterrupt:
        print("posekit: interrupted", file=sys.stderr)
        sys.exit(130)


if __name__ == "__main__":
    main()
