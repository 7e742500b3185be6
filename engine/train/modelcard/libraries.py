"""The settings of a training in the installed libraries, read from their source: importing them takes seconds."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

_SOURCES = (  # files that declare the settings as fields of a dataclass, newest first
    ("transformers", ("training_args.py",)),
    ("sentence_transformers", ("base/training_args.py", "training_args.py")),
)
REMOVED_SETTINGS = (
    frozenset(  # printed by sentence-transformers 3.4 with transformers 4.51, unknown to transformers 5.24
        (
            "adafactor",
            "fp16_backend",
            "fp16_opt_level",
            "fsdp_min_num_params",
            "fsdp_transformer_layer_cls_to_wrap",
            "group_by_length",
            "half_precision_backend",
            "include_inputs_for_metrics",
            "include_tokens_per_second",
            "jit_mode_eval",
            "mp_parameters",
            "no_cuda",
            "overwrite_output_dir",
            "past_index",
            "per_gpu_eval_batch_size",
            "per_gpu_train_batch_size",
            "push_to_hub_model_id",
            "push_to_hub_organization",
            "ray_scope",
            "save_safetensors",
            "torchdynamo",
            "tp_size",
            "tpu_metrics_debug",
            "tpu_num_cores",
            "use_ipex",
            "use_legacy_prediction_loop",
            "use_mps_device",
        )
    )
)


@dataclass(frozen=True, slots=True)
class ChangedDefault:
    """A setting whose default has changed."""

    name: str
    then: str
    now: str


CHANGED_DEFAULTS = (
    ChangedDefault("optim", "adamw_torch", "adamw_torch_fused"),
    ChangedDefault("average_tokens_across_devices", "False", "True"),
    ChangedDefault("warmup_ratio", "0.0", "deprecated: give the share as warmup_steps"),
)


@cache
def read_settings() -> frozenset[str] | None:
    """Read the names of all settings that the installed libraries accept; None if one of the libraries is missing."""
    names: set[str] = set()
    for package, places in _SOURCES:
        spec = find_spec(package)
        folders = list(spec.submodule_search_locations or ()) if spec else []
        files = [path for folder in folders for place in places if (path := Path(folder) / place).is_file()]
        if not files:
            return None
        names |= _parse_fields(files[0].read_text(encoding="utf-8"))
    return frozenset(names)


def _parse_fields(source: str) -> set[str]:
    """Return the names of the annotated fields of all classes in a source text."""
    classes = (node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.ClassDef))
    fields = (node.target for parent in classes for node in parent.body if isinstance(node, ast.AnnAssign))
    return {target.id for target in fields if isinstance(target, ast.Name)}


def read_version(package: str) -> str | None:
    """Return the installed version of a package; None if it is missing."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None
