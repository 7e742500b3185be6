"""What to screen next, and how much reading that saves."""
