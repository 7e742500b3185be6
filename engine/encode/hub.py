"""Fetch a model from the Hugging Face hub into its local cache."""

from __future__ import annotations

from pathlib import Path

from huggingface_hub import snapshot_download

from engine.errors import EncoderError

WANTED = ("*.json", "*.safetensors", "*.txt", "*/config.json")
UNWANTED = ("onnx/*", "openvino/*")


def download(model: str) -> Path:
    """Folder of a hub model in the cache; downloads it the first time. Never fetches pickles or code.

    Raises:
        EncoderError: it could not be fetched.
    """
    try:
        return Path(snapshot_download(model, allow_patterns=list(WANTED), ignore_patterns=list(UNWANTED)))
    except Exception as err:  # network, HTTP and validation errors of several libraries
        reason = str(err).strip().splitlines()[0][:200]
        raise EncoderError(
            f"{model} is neither a folder here nor a model that could be fetched from the hub ({reason}). "
            "Check the name and the network, or download it elsewhere and name the folder: -m FOLDER"
        ) from err
