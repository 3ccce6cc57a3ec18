"""People in the loop: what is asked, who is asked, what they answered, and what it comes to."""
