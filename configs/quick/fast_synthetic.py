"""configs/quick/synthetic.py without its RPN: Fast R-CNN on proposals from selective search."""

from .synthetic import dataloader, lr_multiplier, model, optimizer, train

model.proposal_generator = None  # what Detectron2 makes of the name "PrecomputedProposals"
for loader in (dataloader.train, dataloader.test):
    loader.dataset.proposal_files = "output/proposals/${.names}.pkl"
    loader.mapper.proposal_topk = 2000  # Fast R-CNN, section 3: "around 2000"
train.output_dir = "./output/fast_synthetic"
