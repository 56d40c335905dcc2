import pytest

from pose_project.structures import KeypointSchema, merge_schemas

PERSON = KeypointSchema(
    ("nose", "left_eye", "right_eye", "left_hand", "right_hand"),
    flip_pairs=(("left_eye", "right_eye"), ("left_hand", "right_hand")),
    skeleton=(("nose", "left_eye"), ("nose", "right_eye")),
    oks_sigmas=(0.01, 0.02, 0.02, 0.03, 0.03),
)
DOG = KeypointSchema(
    ("tail", "nose", "left_eye", "right_eye"),
    flip_pairs=(("left_eye", "right_eye"),),
    skeleton=(("tail", "nose"),),
    oks_sigmas=(0.1, 0.2, 0.3, 0.3),
)


def test_channels_are_shared_by_name():
    merged = merge_schemas([("person", PERSON), ("dog", DOG)])
    assert merged.names == (*PERSON.names, "tail")
    assert merged.class_rows(0) == (0, 1, 2, 3, 4)
    assert merged.class_rows(1) == (5, 0, 1, 2)
    assert merged.class_schema(1) is DOG
    assert merged.hflip_indices == (0, 2, 1, 4, 3, 5)
    assert merged.skeleton == (*PERSON.skeleton, *DOG.skeleton)


def test_mirroring_the_union_mirrors_each_category():
    merged = merge_schemas([("person", PERSON), ("dog", DOG)])
    for index, schema in enumerate((PERSON, DOG)):
        rows = merged.class_rows(index)
        assert [merged.hflip_indices[row] for row in rows] == [
            rows[own] for own in schema.hflip_indices
        ]


def test_one_category_is_its_own_schema():
    assert merge_schemas([("dog", DOG)]) is DOG
    assert DOG.class_rows(0) == (0, 1, 2, 3)


def test_a_keypoint_with_two_mirror_images_is_refused():
    lone = KeypointSchema(("left_eye",))
    with pytest.raises(ValueError, match="'left_eye' is mirrored to 'right_eye' in category 'dog'"):
        merge_schemas([("dog", DOG), ("cyclops", lone)])


def test_a_schema_with_categories_survives_the_metadata():
    class Entry(dict):
        __getattr__ = dict.__getitem__

    merged = merge_schemas([("person", PERSON), ("dog", DOG)])
    assert KeypointSchema.from_metadata(Entry(merged.metadata())) == merged
