"""``python -m pose_project COMMAND ...``."""

import sys

from pose_project.commands.command_line import main

if __name__ == "__main__":
    sys.exit(main(prog="python -m pose_project"))
