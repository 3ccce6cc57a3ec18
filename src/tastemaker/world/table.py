"""The world's scorers by name, beside those of `score.table`."""

SCORERS = {
    "world": "tastemaker.world.scorer:WorldScorer",
    "world-utility": "tastemaker.world.scorer:Utility",
    "world-correct": "tastemaker.world.scorer:Correct",
    "world-shapes": "tastemaker.world.scorer:Shapes",
}
