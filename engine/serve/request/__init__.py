"""Requests: parameters checked and parsed into queries, and responses sent."""
