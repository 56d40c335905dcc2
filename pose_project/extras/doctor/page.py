"""The report as one HTML file that needs nothing else: findings and a few drawn examples."""

import base64
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from jinja2 import Environment, StrictUndefined

from pose_project.extras.doctor.examination import Examination
from pose_project.extras.doctor.findings import Report, printable
from pose_project.utils.files import write_text_atomic

EXAMPLES_PER_FINDING = 2

_TEMPLATE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{ report.path }}</title>
<style>
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem;
  color: #1b1b1f; background: #fff }
h1 { font-size: 1.3rem; overflow-wrap: anywhere }
section { border-left: .4rem solid #b7791f; padding: .1rem 1rem; margin: 1.5rem 0 }
section.error { border-color: #c53030 }
h2 { font-size: 1rem; margin: .3rem 0 }
p { margin: .2rem 0; overflow-wrap: anywhere }
.examples { display: flex; flex-wrap: wrap; gap: 1rem }
figure { margin: .5rem 0 } img { max-width: 100%; height: auto; display: block }
.pair figure { flex: 1 1 20rem }
figcaption { font-size: .85rem; color: #555 }
</style>
<h1>{{ report.path }}</h1>
<p>{% if report.size %}{{ report.size }}: {% endif %}<strong>{{ report.counts }}</strong></p>
{% for finding in report.findings %}
<section class="{{ finding.problem.severity.name }}">
<h2>{{ finding.problem.severity.name }}: {{ finding }}</h2>
<p>Why: {{ finding.problem.why }}</p>
<p>Fix: {{ finding.problem.remedy }}
{% if finding.problem.corrected %}(<code>--fix</code> does it){% endif %}</p>
<div class="examples">
{% for example in examples if example.code == finding.problem.code %}
<figure><img alt="{{ example.label }}" src="data:image/jpeg;base64,{{ example.data }}">
<figcaption>{{ example.label }}</figcaption></figure>
{% endfor %}
</div>
</section>
{% endfor %}
{% if suspects %}
<h1>{{ suspects | length }} labels that a model contradicts, the likeliest errors first</h1>
{% for suspect in suspects %}
<section>
<h2>{{ suspect.caption }}</h2>
<div class="examples pair">
{% for picture in suspect.pictures %}
<figure><img alt="{{ picture.label }}" src="data:image/jpeg;base64,{{ picture.data }}">
<figcaption>{{ picture.label }}</figcaption></figure>
{% endfor %}
</div>
</section>
{% endfor %}
{% endif %}
</html>
"""


class Choice(NamedTuple):
    """An annotation to draw: rows of the dataset, the finding it shows, and its caption."""

    code: str
    label: str
    annotation: int
    photo: int


class Example(NamedTuple):
    """A drawn photo.

    Args:
        code: of the problem that it shows.
        label: its caption.
        picture: a JPEG file.
    """

    code: str
    label: str
    picture: bytes

    @property
    def data(self) -> str:
        """The picture in base64."""
        return base64.b64encode(self.picture).decode("ascii")


def choose_examples(examination: Examination) -> Iterator[Choice]:
    """Yield the first annotations of each finding that have a photo and a category."""
    dataset = examination.dataset
    if dataset is None:
        return
    row_at = {place: row for row, place in enumerate(dataset.annotations.places.tolist())}
    for finding in examination.report.findings:
        if finding.kind != "annotations":
            continue
        drawn = 0
        for place, label in zip(finding.places, finding.labels, strict=True):
            row = row_at.get(place, -1)
            if row < 0 or dataset.photo_of[row] < 0 or dataset.category_of[row] < 0:
                continue
            photo = int(dataset.photo_of[row])
            name = dataset.images.objects[photo].get("file_name")
            if isinstance(name, str) and drawn < EXAMPLES_PER_FINDING:
                drawn += 1
                yield Choice(
                    finding.problem.code, printable(f"annotation {label}, {name}"), row, photo
                )


def write_page(
    folder: Path, report: Report, examples: Sequence[Example], suspects: Sequence[Any] = ()
) -> Path:
    """Write ``index.html`` into a folder, which is made, and return its path.

    Every text from the dataset is escaped.

    Args:
        folder: made if it is not there.
        report: the findings.
        examples: photos that show them.
        suspects: of ``read_suspects``.
    """
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    page = environment.from_string(_TEMPLATE).render(
        report=report, examples=examples, suspects=suspects
    )
    path = folder / "index.html"
    write_text_atomic(path, page)
    return path
