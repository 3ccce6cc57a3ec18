"""Diffusion models behind one protocol, and what of them is trained."""
