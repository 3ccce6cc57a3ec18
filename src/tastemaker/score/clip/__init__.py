"""CLIP as a trunk: its text, its weights in two layouts, and what it makes of images and prompts."""
