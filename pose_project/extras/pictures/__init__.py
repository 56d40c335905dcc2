"""Pictures of training data, of augmentations, of a run, and of predictions beside the truth."""
