"""The ranking of a question, in one stage or two, and the evidence that records are about it."""
