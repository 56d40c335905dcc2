"""An image as augmentations see it, and what is left of polygons when they are cut."""
