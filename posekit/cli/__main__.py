"""python -m posekit.cli"""

from posekit.cli.main import main

main()
