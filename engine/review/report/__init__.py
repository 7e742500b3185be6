"""How far a review is, and its flow diagram."""
