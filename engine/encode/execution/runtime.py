"""ONNX Runtime, imported after its telemetry was switched off."""

from __future__ import annotations

from engine.config import forbid_telemetry

forbid_telemetry()

import onnxruntime  # noqa: E402

__all__ = ["onnxruntime"]
