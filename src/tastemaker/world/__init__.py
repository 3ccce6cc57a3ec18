"""The embedded small world: captioned shapes with a known right answer, and the models trained on it."""
