"""One file a reward model; each loads its libraries and weights when it first scores."""
