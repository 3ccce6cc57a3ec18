"""Images sampled from the model in training, and what is said of them."""
