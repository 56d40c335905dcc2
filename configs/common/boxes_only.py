"""From Keypoint R-CNN to Faster R-CNN: what goes when only boxes are wanted."""

from omegaconf import DictConfig


def boxes_only(model: DictConfig, dataloader: DictConfig, train: dict) -> None:
    """Take the keypoint head out, and train and score on people without keypoints as well."""
    heads = model.roi_heads
    heads.keypoint_in_features = heads.keypoint_pooler = heads.keypoint_head = None
    # plain L1: the 0.5 of keypoint models is better for keypoints and worse for boxes
    # (detectron2 configs/COCO-Keypoints/Base-Keypoint-RCNN-FPN.yaml)
    heads.box_predictor.smooth_l1_beta = 0.0
    dataloader.train.dataset.min_keypoints = 0
    dataloader.evaluator.tasks = ("bbox",)
    train.best_metric = "bbox/AP"
