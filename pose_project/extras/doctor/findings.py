"""What the doctor found, and how it is told: as text, as an object for JSON, in one line."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

EXAMPLES = 10
"""A finding names so many of the entries that have it."""
_LONGEST = 300


class Severity(NamedTuple):
    """How bad a finding is; the exit code of the worst is that of the tool."""

    name: str
    exit_code: int


ERROR = Severity("error", 2)
"""Loading refuses it, drops it, or the model learns or is scored by something wrong."""
WARNING = Severity("warning", 1)
"""Loading copes with it, or it may be meant: worth a look."""


REFUSED, FILLED, LEFT_OUT, TAKEN = "refused", "filled in", "left out", "taken as it is"
"""What loading does with it, in training and evaluation alike."""


@dataclass(frozen=True)
class Problem:
    """A class of problems.

    Args:
        code: its name in the report.
        severity: ``ERROR`` or ``WARNING``.
        title: what is wrong, after "3 annotations: ".
        why: what it does to training or evaluation.
        remedy: what to do about it.
        corrected: ``--fix`` corrects it.
        loading: what loading does with it.
    """

    code: str
    severity: Severity
    title: str
    why: str
    remedy: str
    corrected: bool = False
    loading: str = TAKEN


@dataclass(frozen=True)
class Finding:
    """One problem and the entries that have it.

    Args:
        problem: which.
        kind: the list that the entries are in, ``"images"``, ``"annotations"`` or
            ``"categories"``, or ``"file"``.
        count: how many have it.
        places: the first few, as places in that list.
        labels: the same by id, or as ``"#place"`` where the id is unusable.
        detail: what cannot be said for every file.
    """

    problem: Problem
    kind: str
    count: int = 1
    places: tuple[int, ...] = ()
    labels: tuple[int | str, ...] = ()
    detail: str = ""

    def __str__(self) -> str:
        subject = "the file" if self.kind == "file" else f"{number_of(self.count, self.kind)}:"
        return " ".join([subject, self.problem.title, *self._remarks()])

    def _remarks(self) -> list[str]:
        remarks = [printable(self.detail)] if self.detail else []
        if self.labels:
            first = ", ".join(str(label) for label in self.labels[:5])
            more = ", ..." if self.count > 5 else ""
            remarks.append(f"id{'s' * (self.count > 1)} {first}{more}")
        return [f"({'; '.join(remarks)})"] if remarks else []


def printable(text: str) -> str:
    r"""Return a text from a dataset as it can be shown: one line, no control characters, not long.

    >>> print(printable("left\n\x1b[31meye"))
    left\n\x1b[31meye
    """
    short = text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."
    return "".join(
        each if each.isprintable() else each.encode("unicode_escape").decode() for each in short
    )


def number_of(count: int, kind: str) -> str:
    """Return a count and what is counted.

    >>> number_of(1, "categories"), number_of(2000, "images")
    ('1 category', '2,000 images')
    """
    singular = {"categories": "category"}.get(kind, kind.removesuffix("s"))
    return f"{count:,} {singular if count == 1 else kind}"


@dataclass(frozen=True)
class Report:
    """All findings of a file, the worst first.

    Args:
        path: the annotations.
        findings: what was found.
        totals: number of ``images``, ``annotations`` and ``categories``.
    """

    path: str
    findings: tuple[Finding, ...]
    totals: dict[str, int]

    @classmethod
    def of(cls, path: str | Path, findings: list[Finding], totals: dict[str, int]) -> "Report":
        """Return the report with the findings in the order of severity."""
        worst_first = sorted(findings, key=lambda each: -each.problem.severity.exit_code)
        return cls(str(path), tuple(worst_first), totals)

    @property
    def exit_code(self) -> int:
        """0 clean, 1 warnings, 2 errors."""
        return max((each.problem.severity.exit_code for each in self.findings), default=0)

    @property
    def codes(self) -> list[str]:
        """The problems' names, the worst first."""
        return list(dict.fromkeys(each.problem.code for each in self.findings))

    @property
    def counts(self) -> str:
        """How many findings of each severity, such as "1 error, 2 warnings"."""
        severities = [each.problem.severity for each in self.findings]
        parts = []
        for severity in (ERROR, WARNING):
            count = severities.count(severity)
            if count:
                parts.append(f"{count} {severity.name}{'s' * (count > 1)}")
        return ", ".join(parts) or "nothing wrong"

    @property
    def size(self) -> str:
        """How many photos, annotations and categories there are."""
        return ", ".join(number_of(count, kind) for kind, count in self.totals.items())

    def line(self) -> str:
        """Return the findings in one line for a log: "1 error, 1 warning: bad-id 2, ..."."""
        counts: Counter[str] = Counter()
        for each in self.findings:
            counts[each.problem.code] += each.count
        listed = ", ".join(f"{code} {count}" for code, count in counts.items())
        return f"{self.counts}: {listed}" if listed else self.counts

    def text(self) -> str:
        """Return the findings, each with the reason and the remedy."""
        paragraphs = [f"{self.path}: {self.size}" if self.size else self.path]
        for finding in self.findings:
            problem = finding.problem
            paragraphs.append(
                f"{problem.severity.name.upper()} {problem.code}\n"
                f"  {finding}\n"
                f"  why: {problem.why}\n"
                f"  fix: {problem.remedy}{' (--fix does it)' if problem.corrected else ''}"
            )
        return "\n\n".join([*paragraphs, self.counts])

    def as_dict(self) -> dict[str, Any]:
        """Return the report as plain objects: ``file totals exit_code findings``."""
        return {
            "file": self.path,
            "totals": self.totals,
            "exit_code": self.exit_code,
            "findings": [
                {
                    "code": each.problem.code,
                    "severity": each.problem.severity.name,
                    "kind": each.kind,
                    "count": each.count,
                    "ids": list(each.labels),
                    "message": str(each),
                    "why": each.problem.why,
                    "fix": each.problem.remedy,
                    "corrected": each.problem.corrected,
                }
                for each in self.findings
            ],
        }
