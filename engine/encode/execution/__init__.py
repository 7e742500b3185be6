"""Encoders that run: the contract that all keep, and ONNX Runtime."""
