"""The same as the command that is named below; ``--help`` says what it does."""

import sys
from functools import partial

from pose_project.commands.command_line import run_command

main = partial(run_command, "find-label-errors", prog="python tools/find_label_errors.py")

if __name__ == "__main__":
    sys.exit(main())
