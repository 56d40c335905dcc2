"""Published models by name: their weights, fetched once, and torchvision's converted."""
