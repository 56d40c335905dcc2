"""Importing this registers the heads in Detectron2's registry."""

from pose_project.extras.refined_heads.global_context_head import GlobalContextKeypointHead
from pose_project.extras.refined_heads.likelihood_head import LikelihoodKeypointHead

__all__ = ["GlobalContextKeypointHead", "LikelihoodKeypointHead"]
