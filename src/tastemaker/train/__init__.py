"""Training: where a method, a model and ranked pairs meet."""
