"""Models side by side, prompt by prompt, in a folder that opens offline."""
