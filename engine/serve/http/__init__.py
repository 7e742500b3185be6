"""Connections: who may ask, the limits, and what a failure looks like."""
