"""Records that may be the same work: proposed with reasons, decided by people, and joined in the next generation."""
