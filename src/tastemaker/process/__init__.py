"""The noise process: signal and noise level of every step, and what a network may predict of them."""
