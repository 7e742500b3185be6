"""Where the indexes are and which one is meant. The only module that touches the environment."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from engine.errors import ConfigError, UsageError

NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
RESERVED = {"con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in range(1, 10))}  # Windows


@dataclass(frozen=True, slots=True)
class Config:
    """Settings in force: flag before environment before default."""

    indexes: Path  # folder that holds one folder per index
    index: str | None  # name of an index, None when nobody named one

    @staticmethod
    def load(indexes: str | None = None, index: str | None = None) -> Config:
        """Combine the flags with ENGINE_INDEXES and ENGINE_INDEX; empty strings count as not given."""
        folder = indexes or os.environ.get("ENGINE_INDEXES") or "indexes"
        return Config(Path(folder), index or os.environ.get("ENGINE_INDEX") or None)

    def names(self) -> list[str]:
        """Indexes with a generation in the folder, sorted; none when the folder is not there."""
        if not self.indexes.is_dir():
            return []
        return sorted(p.name for p in self.indexes.iterdir() if NAME.fullmatch(p.name) and any(p.glob("generations/*")))

    def existing(self) -> Path:
        """Folder of the index that is meant: the named one, or the only one there.

        Raises:
            ConfigError: no such index, or several and none was named.
            UsageError: the name is not a legal one.
        """
        names = self.names()
        if self.index is not None:
            check_name(self.index)
            if self.index not in names:
                raise ConfigError(f"no index named {self.index!r} in {self.indexes}: found {listed(names)}. {HINT}")
            return self.indexes / self.index
        if len(names) == 1:
            return self.indexes / names[0]
        if not names:
            raise ConfigError(f"{self.indexes} holds no index. {HINT}")
        raise ConfigError(f"{self.indexes} holds several indexes: {listed(names)}. Name one: -i {names[0]}")

    def target(self) -> Path:
        """Folder of the index to write: the named one, the only one there, or a first one called "default".

        Raises:
            ConfigError: several indexes and none was named.
            UsageError: the name is not a legal one.
        """
        if self.index is None:
            return self.existing() if self.names() else self.indexes / "default"
        check_name(self.index)
        return self.indexes / self.index


def forbid_telemetry() -> None:
    """Keep libraries from reporting home; call before importing them. What people search can be about patients.

    ONNX Runtime since 1.29 sends events to Microsoft unless told not to; huggingface_hub adds a user agent.
    """
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"


HINT = "Make one with: engine index FILE -i NAME"


def check_name(name: str) -> None:
    """Refuse a name that could leave the indexes folder or that some file system can't hold.

    Raises:
        UsageError: the name is not a legal one.
    """
    if not NAME.fullmatch(name) or name in RESERVED:
        raise UsageError(
            f"{name[:80]!r} can't be the name of an index: use 1 to 63 of a-z, 0-9, '-' and '_', "
            "beginning with a letter or digit. For example: -i rheumatology"
        )


def listed(names: list[str]) -> str:
    """Names for a message: "a, b", or "none"."""
    return ", ".join(names) or "none"
