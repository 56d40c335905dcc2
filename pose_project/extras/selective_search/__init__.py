"""Selective search: proposals made before training, and how many people they find."""
