"""The curves over ranks."""

import cv2

from pose_project.extras.svd.rank_curves import Panel, plot_rank_curves

PANEL = Panel("AP", "AP", {"bbox AP": [10.0, 30.0]}, {"bbox AP": 35.0})


def test_a_panel_for_each_quantity_and_nothing_else_in_the_folder(tmp_path):
    widths = []
    for count in (1, 2, 3):
        png = tmp_path / f"{count}/curves.png"
        plot_rank_curves(["8", "64"], [PANEL] * count, png)
        assert [path.name for path in png.parent.iterdir()] == ["curves.png"]
        widths.append(cv2.imread(str(png)).shape[1])
    assert widths == [widths[0], 2 * widths[0], 3 * widths[0]]


def test_the_original_is_drawn_beside_the_curve(tmp_path):
    coloured = []
    for name, original in (("with", PANEL.original), ("without", {})):
        png = tmp_path / f"{name}.png"
        plot_rank_curves(["8", "64"], [Panel("AP", "AP", PANEL.curves, original)], png)
        picture = cv2.imread(str(png)).astype(int)
        coloured.append(((picture[..., 0] - picture[..., 2]) > 100).sum())  # blue
    assert coloured[0] > coloured[1] + 200


def test_one_rank_is_a_point(tmp_path):
    png = tmp_path / "one.png"
    plot_rank_curves(["8"], [Panel("AP", "AP", {"bbox AP": [10.0]}, {})], png)
    picture = cv2.imread(str(png)).astype(int)
    rows, columns = ((picture[..., 0] - picture[..., 2]) > 100).nonzero()  # blue
    in_panel = columns[rows < 0.8 * len(picture)]  # the legend is below
    assert len(in_panel) > 10 and in_panel.max() - in_panel.min() < 12
