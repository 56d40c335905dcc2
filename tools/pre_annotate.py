"""The same as the command that is named below; ``--help`` says what it does."""

import sys
from functools import partial

from pose_project.commands.command_line import run_command

main = partial(run_command, "pre-annotate", prog="python tools/pre_annotate.py")

if __name__ == "__main__":
    sys.exit(main())
