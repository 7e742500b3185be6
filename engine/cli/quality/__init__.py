"""Commands that measure and compare rankings and models."""
