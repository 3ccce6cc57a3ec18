"""From scores to ordered pairs: calibrate, quality, order, cut."""
