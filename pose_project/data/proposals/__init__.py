"""Object proposals made before training: selective search, and the files that hold them."""

from pose_project.data.proposals.files import add_proposals, write_proposal_file
from pose_project.data.proposals.precompute import precompute_proposals
from pose_project.data.proposals.selective_search import MODES, selective_search

__all__ = [
    "MODES",
    "add_proposals",
    "precompute_proposals",
    "selective_search",
    "write_proposal_file",
]
