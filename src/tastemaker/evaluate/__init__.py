"""Images from prompts, and paired statistics on their scores."""
