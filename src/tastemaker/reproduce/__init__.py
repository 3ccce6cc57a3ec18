"""The papers' tables and figures, from recipe graphs whose shared stages run once."""
