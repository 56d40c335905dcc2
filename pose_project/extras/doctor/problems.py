"""Every problem that the doctor knows: how bad it is, why, and what to do."""

from pose_project.extras.doctor.findings import (
    ERROR,
    FILLED,
    LEFT_OUT,
    REFUSED,
    WARNING,
    Problem,
)

_PROBLEMS = (
    # the file
    Problem(
        *("not-json", ERROR, "cannot be read as JSON"),
        loading=REFUSED,
        why="nothing can be loaded.",
        remedy="export it again, or repair it at the place named.",
    ),
    Problem(
        *("not-coco", ERROR, "is not in COCO's format"),
        loading=REFUSED,
        why="loading looks for lists 'images', 'annotations' and 'categories' of objects.",
        remedy="convert it to COCO's keypoint format (https://cocodataset.org/#format-data).",
    ),
    Problem(
        *("empty", ERROR, "has nobody to train on"),
        loading=REFUSED,
        why="photos without a labelled keypoint are left out of training.",
        remedy="check the export: 'images', 'annotations' and their keypoints.",
    ),
    Problem(
        *("nobody-annotated", ERROR, "has no annotation at all"),
        loading=REFUSED,
        why="there is nothing to train on or to score against; all else follows from that.",
        remedy="CVAT: save the job, then export as COCO Keypoints 1.0. Label Studio: submit the "
        "tasks before exporting. Roboflow: annotate, then generate and export a new version.",
    ),
    Problem(
        *("points-without-skeleton", ERROR, "each keypoint is an annotation of its own"),
        loading=REFUSED,
        why="nothing says which points belong to one person; all else follows from that.",
        remedy="CVAT: make a label of the kind skeleton and draw with it. Label Studio: make the "
        "points children of the person's rectangle. Roboflow: use a keypoint detection project.",
    ),
    # ids
    Problem(
        *("broken-entry", ERROR, "not an object"),
        loading=REFUSED,
        why="loading stops at the first.",
        remedy="remove what is not {...} from the list.",
    ),
    Problem(
        *("bad-id", ERROR, "id missing or not a whole number"),
        loading=REFUSED,
        why="photos, people and results are matched by their ids.",
        remedy="number them from 1.",
    ),
    Problem(
        *("duplicate-id", ERROR, "an id that another one has as well"),
        loading=REFUSED,
        why="loading refuses double annotations and loses the others.",
        remedy="give each its own; annotations may be numbered anew, nothing refers to them.",
        corrected=True,
    ),
    Problem(
        *("zero-id", WARNING, "id 0"),
        loading=FILLED,
        why="pycocotools takes 0 for 'not matched', so a found person counts as a false alarm.",
        remedy="number annotations from 1.",
        corrected=True,
    ),
    Problem(
        *("dangling-photo", ERROR, "image_id of no photo"),
        loading=LEFT_OUT,
        why="they are never seen.",
        remedy="add the photos to 'images', or remove the annotations.",
        corrected=True,
    ),
    Problem(
        *("dangling-category", ERROR, "category_id of no category"),
        loading=LEFT_OUT,
        why="they are dropped in training.",
        remedy="add the category, or correct category_id.",
    ),
    Problem(
        *("photo-entry", ERROR, "file_name, width or height missing or unusable"),
        loading=REFUSED,
        why="the photo cannot be opened or grouped by its shape.",
        remedy="file_name is text, width and height are whole numbers of pixels.",
    ),
    Problem(
        *("repeated-file", WARNING, "a file_name that another photo has as well"),
        why="people labelled under one entry are missing, as background, under the other.",
        remedy="keep one entry and give it the annotations of both.",
    ),
    # categories
    Problem(
        *("no-keypoints", ERROR, "has no category with names under 'keypoints'"),
        loading=REFUSED,
        why="there is nothing to learn, and K is unknown.",
        remedy="list the names in the category, in the order of the annotations.",
    ),
    Problem(
        *("keypoint-names", ERROR, "keypoint names that are not distinct texts"),
        loading=REFUSED,
        why="channels, pairs and results are matched by name.",
        remedy="give each keypoint a name of its own.",
    ),
    Problem(
        *("names-number", WARNING, "more or fewer keypoint names than the annotations have points"),
        loading=FILLED,
        why="loading takes as many names as there are points, which may be the wrong ones.",
        remedy="list the names of the points, in their order, or give the schema.",
        corrected=True,
    ),
    Problem(
        *("flip-pairs", ERROR, "flip_pairs are not a mirror"),
        loading=REFUSED,
        why="mirrored photos would get wrong labels: each keypoint has one partner or none.",
        remedy="list pairs of known names, each name once.",
    ),
    Problem(
        *("flip-pairs-missing", WARNING, "left and right are not paired"),
        why="in mirrored photos the model learns left for right.",
        remedy="add the pair to flip_pairs, or take horizontal flips out of the augmentation.",
        corrected=True,
    ),
    Problem(
        *("oks-sigmas", ERROR, "oks_sigmas do not fit the keypoints"),
        loading=REFUSED,
        why="OKS needs one positive number for each keypoint.",
        remedy="list as many as there are names, or none.",
    ),
    Problem(
        *("categories-contradict", ERROR, "has keypoints of one name with different partners"),
        loading=REFUSED,
        why="categories share keypoints by name, so these cannot be mirrored.",
        remedy="give one of them another name.",
    ),
    Problem(
        *("skeleton", ERROR, "skeleton is not a list of pairs of whole numbers"),
        loading=REFUSED,
        why="loading refuses it.",
        remedy="write [[1, 2], ...]: places in 'keypoints', counted from 1, or [].",
    ),
    Problem(
        *("skeleton-range", WARNING, "skeleton names keypoints that are not there"),
        why="it is that of another category; loading ignores it, so drawings have no lines.",
        remedy="write the lines of these keypoints, counted from 1.",
    ),
    Problem(
        *("skeleton-zero", WARNING, "skeleton counts from 0"),
        why="COCO counts from 1: other tools draw wrong lines.",
        remedy="add 1 to each number.",
        corrected=True,
    ),
    Problem(
        *("skeleton-empty", WARNING, "no skeleton"),
        why="drawings show points without lines; training does not need it.",
        remedy="list pairs of places in 'keypoints', counted from 1.",
    ),
    Problem(
        *("category-unused", WARNING, "no annotation"),
        why="a class without examples is never found.",
        remedy="remove it, or check the category_id of the annotations.",
    ),
    # the schema that it is meant to have
    Problem(
        *("schema-categories", WARNING, "has other categories than the schema"),
        why="they cannot be compared: categories are matched by name.",
        remedy="give them the schema's names, or check whether it is the schema of this dataset.",
    ),
    Problem(
        *("schema-absent", ERROR, "no keypoint names, which the schema has"),
        why="loading refuses the file or leaves the category out; the schema's are used here.",
        remedy="write the schema's names, skeleton, flip_pairs and oks_sigmas into it.",
        corrected=True,
    ),
    Problem(
        *("schema-number", ERROR, "not as many keypoints as the schema's"),
        why="weights and results do not fit.",
        remedy="convert the annotations to the schema's keypoints, or train for these.",
    ),
    Problem(
        *("schema-names", ERROR, "other keypoint names than the schema's, or in another order"),
        why="the same row of weights and results would mean another point.",
        remedy="rename them if they are the same points, or sort names and annotations alike.",
    ),
    Problem(
        *("schema-pairs", WARNING, "other flip pairs than the schema's"),
        why="mirrored photos are labelled in another way.",
        remedy="write the schema's flip_pairs.",
    ),
    Problem(
        *("schema-skeleton", WARNING, "another skeleton than the schema's"),
        why="drawings have other lines; training does not need them.",
        remedy="write the schema's skeleton.",
    ),
    Problem(
        *("schema-sigmas", WARNING, "other OKS sigmas than the schema's"),
        why="AP is not comparable.",
        remedy="write the schema's oks_sigmas.",
    ),
    # boxes
    Problem(
        *("bbox-missing", WARNING, "no bbox"),
        loading=FILLED,
        why="loading puts a box around the labelled keypoints, which is only roughly the person's.",
        remedy="annotate boxes, or leave it to loading.",
    ),
    Problem(
        *("bbox-unknown", WARNING, "no bbox with an extent, and no labelled keypoint"),
        loading=LEFT_OUT,
        why="they show nothing, so loading leaves them out of training and of the truth.",
        remedy="annotate a box or remove them.",
        corrected=True,
    ),
    Problem(
        *("bbox-malformed", ERROR, "bbox is not four finite numbers"),
        loading=REFUSED,
        why="loading refuses it.",
        remedy="write [x, y, width, height] in pixels.",
    ),
    Problem(
        *("bbox-empty", WARNING, "bbox of zero or negative width or height"),
        loading=FILLED,
        why="loading puts a box around the labelled keypoints in its place.",
        remedy="annotate the box; is it [x, y, width, height]?",
    ),
    Problem(
        *("bbox-outside", WARNING, "bbox reaches out of its photo"),
        why="training clips it; evaluation does not, so no prediction fits.",
        remedy="clip it to the photo.",
        corrected=True,
    ),
    Problem(
        *("bbox-off-photo", ERROR, "bbox wholly outside its photo"),
        why="training drops the person.",
        remedy="check image_id, and the photo's width and height.",
    ),
    Problem(
        *("bbox-xyxy", ERROR, "boxes look like [x1, y1, x2, y2] instead of [x, y, width, height]"),
        why="the boxes are far too large, and so is everything learnt from them.",
        remedy="subtract x1 from x2 and y1 from y2.",
        corrected=True,
    ),
    Problem(
        *("area-missing", WARNING, "no area"),
        loading=FILLED,
        why="loading takes a share of the box; OKS and the size classes of AP depend on it, and "
        "pycocotools stops.",
        remedy="write the area of the segmentation, or leave it to loading.",
    ),
    Problem(
        *("area-zero", WARNING, "area is not positive"),
        loading=FILLED,
        why="OKS divides by the area, so loading takes a share of the box instead.",
        remedy="write the area of the segmentation.",
    ),
    Problem(
        *("area-implausible", WARNING, "area far smaller, or larger, than the bbox can hold"),
        loading=FILLED,
        why="OKS and the size classes of AP would be wrong: loading takes a share of the box.",
        remedy="write the area of the segmentation in square pixels.",
    ),
    Problem(
        *("segmentation", WARNING, "segmentation that is not a mask of the photo"),
        why="models with masks leave the person out of the mask loss; others do not look at it.",
        remedy="write polygons of at least three points, an RLE of the photo's size, or nothing.",
    ),
    Problem(
        *("area-malformed", ERROR, "area is not a finite number"),
        loading=REFUSED,
        why="evaluation cannot read it.",
        remedy="write the area in square pixels.",
    ),
    Problem(
        *("iscrowd-missing", WARNING, "no iscrowd"),
        loading=FILLED,
        why="loading takes it for a single person; pycocotools stops.",
        remedy="write 0.",
        corrected=True,
    ),
    Problem(
        *("iscrowd-boolean", WARNING, "iscrowd is true or false"),
        why="evaluation takes it for 0 or 1; readers that expect a number may not.",
        remedy="write 0 or 1.",
        corrected=True,
    ),
    Problem(
        *("iscrowd-malformed", ERROR, "iscrowd is neither 0 nor 1"),
        loading=REFUSED,
        why="loading refuses it.",
        remedy="write 0 for a single person, 1 for a crowd.",
    ),
    # keypoints
    Problem(
        *("keypoints-length", ERROR, "keypoints are not three numbers for each name"),
        loading=REFUSED,
        why="loading refuses them.",
        remedy="make the category's names and the annotations agree: K names, 3 K numbers.",
    ),
    Problem(
        *("keypoints-malformed", ERROR, "keypoints are not a list of finite numbers"),
        loading=REFUSED,
        why="loading refuses them.",
        remedy="write [x1, y1, v1, x2, y2, v2, ...] in pixels.",
    ),
    Problem(
        *("visibility", ERROR, "a visibility other than 0, 1 or 2"),
        why="v is not a score: whatever is above 0 is learnt and scored as a labelled point.",
        remedy="write 0 for unlabelled, 1 for labelled but hidden, 2 for visible.",
    ),
    Problem(
        *("visibility-float", WARNING, "visibility as a float such as 2.0"),
        why="loading and evaluation accept it; readers that expect a whole number may not.",
        remedy="write 0, 1 or 2.",
        corrected=True,
    ),
    Problem(
        *("visibility-boolean", WARNING, "visibility as true or false"),
        loading=FILLED,
        why="loading takes true for 2 and false for 0; other readers may not.",
        remedy="write 0, 1 or 2.",
        corrected=True,
    ),
    Problem(
        *("point-unreadable", WARNING, "points with v = 0 whose x or y is not a number"),
        loading=FILLED,
        why="loading writes 0 for them, since they are unlabelled; other readers may stop.",
        remedy="write 0, 0, 0 for a point that is not labelled.",
        corrected=True,
    ),
    Problem(
        *("num-keypoints-missing", WARNING, "no num_keypoints"),
        loading=FILLED,
        why="loading counts them; pycocotools stops.",
        remedy="write the number of points with v > 0.",
        corrected=True,
    ),
    Problem(
        *("num-keypoints-wrong", WARNING, "num_keypoints is not the number of points with v > 0"),
        why="tools that choose people by it choose others; CrowdPose counts only v = 2.",
        remedy="count them again.",
        corrected=True,
    ),
    Problem(
        *("num-keypoints-zero", ERROR, "num_keypoints 0 with labelled points, or the other way"),
        why="evaluation ignores people with 0 and scores all others.",
        remedy="count them again.",
        corrected=True,
    ),
    Problem(
        *("unlabelled", WARNING, "not one labelled keypoint"),
        why="the keypoint head learns nothing from them, and evaluation ignores them; COCO has "
        "them too.",
        remedy="nothing, if they are too small or hidden to be labelled.",
    ),
    Problem(
        *("point-off-photo", WARNING, "labelled keypoints outside the photo"),
        why="training takes them for unlabelled; evaluation scores them.",
        remedy="set v to 0 where a joint is not in the photo.",
    ),
    Problem(
        *("point-off-box", WARNING, "labelled keypoints slightly outside the bbox"),
        why="the keypoint head sees only the box, so training leaves these out; COCO has them too.",
        remedy="nothing, if they are few; else make the boxes hold the points.",
    ),
    Problem(
        *("point-far-off", ERROR, "visible keypoints more than its size away from the bbox"),
        why="box and keypoints belong to different people, photos or scales.",
        remedy="check the export: order of the people, x and y, resized photos.",
    ),
    Problem(
        *("points-equal", ERROR, "all labelled keypoints at one place"),
        why="a placeholder is learnt as a pose.",
        remedy="label them, or set v to 0.",
    ),
    Problem(
        *("relative", ERROR, "keypoints or bbox between 0 and 1"),
        why="coordinates are pixels: everything lies in the photo's first pixel.",
        remedy="multiply x by the photo's width and y by its height.",
    ),
    Problem(
        *("duplicate-person", WARNING, "same photo, bbox and keypoints as another one"),
        why="one prediction can match only one of them: the other counts as missed.",
        remedy="keep one.",
        corrected=True,
    ),
    Problem(
        *("left-right", WARNING, "left and right look swapped in some pairs"),
        why="the model learns one for the other; judged by which side the person's other pairs "
        "have their left on, so a crossed limb or a twisted pose can look like it.",
        remedy="look at them with --html or tools/visualize_data.py and correct what is wrong.",
    ),
    # photos
    Problem(
        *("photo-missing", ERROR, "file not found"),
        loading=REFUSED,
        why="training stops there.",
        remedy="check --images and file_name; upper and lower case count.",
    ),
    Problem(
        *("photo-unreadable", ERROR, "file cannot be read as a photo"),
        loading=REFUSED,
        why="training stops there.",
        remedy="download or convert it again.",
    ),
    Problem(
        *("photo-truncated", ERROR, "file ends too early"),
        loading=REFUSED,
        why="training stops there.",
        remedy="download or copy it again.",
    ),
    Problem(
        *("photo-pixels", ERROR, "several pictures in one file, or values of 32 bits"),
        loading=REFUSED,
        why="training stops there: it is not said which picture, or which value is white.",
        remedy="save the picture that is meant with 8 bits for each channel.",
    ),
    Problem(
        *("photo-sixteen-bits", WARNING, "16 bits for each pixel"),
        why="loading takes the higher eight: a photo that uses a part of the range is dark.",
        remedy="scale it to 8 bits so that it looks as it should.",
    ),
    Problem(
        *("photo-size", ERROR, "other width and height than the file"),
        loading=REFUSED,
        why="boxes and keypoints may be of a resized photo; loading refuses it.",
        remedy="use the photos that were annotated, or scale the annotations.",
    ),
    Problem(
        *("photo-size-swapped", ERROR, "width and height are swapped"),
        loading=REFUSED,
        why="loading refuses it.",
        remedy="swap them in the JSON.",
        corrected=True,
    ),
    Problem(
        *("photo-exif", ERROR, "width and height of the photo before its EXIF rotation"),
        loading=REFUSED,
        why="loading turns photos as their EXIF data say; the annotations are not turned.",
        remedy="remove the EXIF orientation from the files (exiftool -Orientation= FILE).",
    ),
    Problem(
        *("photo-repeated", WARNING, "same content as another photo"),
        why="people labelled in one are missing, as background, in the other.",
        remedy="keep one and give it the annotations of both.",
    ),
    Problem(
        *("photo-leaked", ERROR, "same content as a photo of the other dataset"),
        why="the model is scored on photos that it was trained on: AP is too high.",
        remedy="remove them from one of the two.",
    ),
)

CONSEQUENCES = {
    "nobody-annotated": ("empty", "category-unused"),
    "points-without-skeleton": (
        *("no-keypoints", "names-number", "skeleton-empty", "category-unused", "empty"),
        *("bbox-missing", "bbox-unknown", "bbox-empty", "bbox-outside"),
        *("area-missing", "area-zero"),
        *("num-keypoints-missing", "unlabelled", "point-off-box", "point-far-off"),
    ),
}
"""What follows from a problem and is not listed beside it."""

PROBLEMS = {each.code: each for each in _PROBLEMS}
"""By code."""
