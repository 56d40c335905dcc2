"""Fast R-CNN with keypoints: proposals from selective search instead of an RPN.

Their files come from ``tools/precompute_proposals.py --method selective_search``, one for each
dataset; other ones: dataloader.train.dataset.proposal_files=FILE, dataloader.test... alike.
"""

from .keypoint_rcnn_R50_FPN_1x import dataloader, lr_multiplier, model, optimizer, train

model.proposal_generator = None  # what Detectron2 makes of the name "PrecomputedProposals"
for loader in (dataloader.train, dataloader.test):
    loader.dataset.proposal_files = "output/proposals/${.names}.pkl"
    loader.mapper.proposal_topk = 2000  # Fast R-CNN, section 3: "around 2000"
train.output_dir = "./output/fast_keypoint_rcnn_R50_FPN"
