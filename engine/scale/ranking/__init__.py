"""Segments held and ranked on the nodes."""
