"""Texts encoded on the nodes."""
