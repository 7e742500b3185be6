"""Which settings of a training the installed libraries know, read from their source: importing them takes seconds."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

SOURCES = (  # where the settings are declared as fields of a dataclass, newest place first
    ("transformers", ("training_args.py",)),
    ("sentence_transformers", ("base/training_args.py", "training_args.py")),
)
GONE = frozenset(  # names that sentence-transformers 3.4 with transformers 4.51 prints and transformers 5.24 lacks
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


@dataclass(frozen=True, slots=True)
class Moved:
    """A default that is another one today."""

    name: str
    then: str
    now: str


MOVED = (
    Moved("optim", "adamw_torch", "adamw_torch_fused"),
    Moved("average_tokens_across_devices", "False", "True"),
    Moved("warmup_ratio", "0.0", "deprecated: give the share as warmup_steps"),
)


@cache
def installed_settings() -> frozenset[str] | None:
    """Names of all settings that the installed libraries take; None where one of the libraries is missing."""
    names: set[str] = set()
    for package, places in SOURCES:
        spec = find_spec(package)
        folders = list(spec.submodule_search_locations or ()) if spec else []
        found = [path for folder in folders for place in places if (path := Path(folder) / place).is_file()]
        if not found:
            return None
        names |= fields_of(found[0].read_text(encoding="utf-8"))
    return frozenset(names)


def fields_of(source: str) -> set[str]:
    """Names of the annotated fields of all classes in a source text."""
    classes = (node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.ClassDef))
    fields = (node.target for one in classes for node in one.body if isinstance(node, ast.AnnAssign))
    return {target.id for target in fields if isinstance(target, ast.Name)}


def installed_version(package: str) -> str | None:
    """The installed version of a package; None where it is missing."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None
