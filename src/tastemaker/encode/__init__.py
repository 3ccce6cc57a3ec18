"""Images and prompts as the denoiser sees them, computed once: what training reads."""
