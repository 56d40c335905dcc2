"""The command lines that a page of the documentation prints."""

import re
from collections.abc import Iterator

_PYTHON = r"(?:\S*/)?(?:python|torchrun(?: --\S+ \S+)*)"
_MODULE = rf"(?:{_PYTHON} -m pose_project|pose-project)"
_CALL = re.compile(rf"(?:[A-Z_]+=\S+ )*(?:{_PYTHON} tools/(\w+)\.py|{_MODULE} (\S+))(.*)")


def printed_commands(page: str) -> Iterator[tuple[str, list[str]]]:
    """Yield tool or command, and what follows it, of each line in a block of code.

    Variables that the page has set are put in. Lines with an ellipsis, or with a variable that is
    not known, are left out.
    """
    variables: dict[str, str] = {}
    for line in re.sub(r" *\\\n *", " ", page).splitlines():
        line = line.strip().removeprefix("$ ")
        assignment = re.fullmatch(r'([A-Z]+)="(.*)"', line)
        if assignment:
            variables.update([assignment.groups()])
        line = re.sub(r"\$(\w+)", lambda found: variables.get(found[1], found[0]), line)  # noqa: B023
        call = _CALL.fullmatch(line)
        if call:
            tool, command, rest = call.groups()
            words = re.sub(r" +[#&|>].*| +&$", "", rest).split()
            if "..." not in words and "$" not in rest:
                yield tool or command, words
