"""What runs and generations have done, in words and as plain fields."""
