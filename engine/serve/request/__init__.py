"""Requests read into queries, and answers sent."""
