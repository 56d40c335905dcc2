"""Photos as tar files of WebDataset's layout: writing them, and predicting from them."""
