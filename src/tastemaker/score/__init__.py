"""Reward models behind one protocol, and the run that scores every distinct (image, prompt) once."""
