"""One self-contained HTML file that tells what was done and what came of it."""
