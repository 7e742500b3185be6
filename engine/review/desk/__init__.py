"""What a reviewer reads next, and how it is shown."""
