"""What is measured on an index: its search settings, and what unrelated questions reach."""
