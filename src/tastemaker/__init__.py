"""Teach text-to-image diffusion models what people like."""

__version__ = "0.1.0"
