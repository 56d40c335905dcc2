"""Order unlabelled photos by what a label would teach the model.

    pose-project rank --model output/mine --input PHOTOS --output DIR --count 40

DIR/ranking.csv   rank, photo, value, what it is made of, and why, in words
DIR/chosen.txt    paths of the photos to label next, one a line: what labelling tools are given
DIR/sheet.jpg     these photos with what the model sees in them, in their order

The model looks at each photo three times: as it is, mirrored, and from farther away. The value is
in the OKS of one person: what the model expects to lose of poses, what its views disagree about,
and people of whom it does not know whether they are there. The first --count are chosen one after
the other, each for its value times how far its poses are from those before, so that they are not
the same; the others follow by their value.
"""

import argparse
from pathlib import Path

from pose_project.commands.options import add_device_option, add_model_options, read_model
from pose_project.utils.errors import InputError


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the model, the photos and how many are wanted."""
    add_model_options(parser)
    add_device_option(parser)
    parser.add_argument(
        "--input",
        required=True,
        nargs="+",
        metavar="PATH",
        help="photos, folders with their sub-folders, patterns in quotes",
    )
    parser.add_argument("--output", required=True, type=Path, metavar="DIR")
    parser.add_argument(
        "--count", type=int, default=40, help="photos to choose, of varied poses (default: 40)"
    )


def run(arguments: argparse.Namespace) -> None:
    """Rank and write; print the first few."""
    if arguments.count < 1:
        raise InputError(f"--count must be at least 1, got {arguments.count}")
    # late, since --help is answered without PyTorch
    from pose_project.extras.labelling.photos import find_photos, load_predictor
    from pose_project.extras.labelling.ranked_photos import rank_photos, write_ranking

    sources = find_photos(arguments.input, arguments.output)
    predictor = load_predictor(*read_model(arguments))
    ranked = rank_photos(predictor, sources, arguments.count)
    write_ranking(arguments.output, ranked, predictor.schema)
    for each in ranked[:5]:
        print(f"{each.rank:4}  {each.source.name}  {each.lesson.value:.2f}: {each.why}")
    chosen = sum(each.is_chosen for each in ranked)
    print(f"{chosen} of {len(ranked)} photos chosen; all in {arguments.output}")
