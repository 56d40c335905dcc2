"""The command line: ``pose-project COMMAND``, and ``tools/*.py``, which call the same functions.

A command is a module with ``add_options(parser)`` and ``run(arguments)``; its docstring is what
``--help`` shows. What it needs to work is imported in ``run`` and not at its top: PyTorch and
Detectron2 take seconds, and ``--help`` or a misspelt option has to be answered at once.
"""
