"""The original model on torch, and its export."""
