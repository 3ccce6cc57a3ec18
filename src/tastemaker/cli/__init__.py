"""The command line: one module a verb, arguments → one call → summary."""
