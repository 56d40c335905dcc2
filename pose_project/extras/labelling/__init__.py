"""The loop of a model and a labelling tool: what to label, what is wrong, what is drawn before."""
