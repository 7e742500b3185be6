"""Generations placed on the nodes before they become current, and what the nodes hold."""
