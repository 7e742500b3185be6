"""A module for each format of source files."""
