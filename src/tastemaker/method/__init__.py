"""A method is a value: evidence × credit × link. No module here imports torch before it computes."""
