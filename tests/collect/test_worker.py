"""The process that reads files for another one."""

import io
import json
import subprocess
import sys
from pathlib import Path

from engine.collect.frames import FrameKind, Outbox, parse_entries, parse_error, read_frame
from engine.collect.worker import _send_files
from tests.conftest import TOY


def test_files_are_served_one_after_the_other(tmp_path: Path) -> None:
    (empty := tmp_path / "empty.ris").touch()
    outbox = Outbox(stream := io.BytesIO(), 1 << 20, lambda: None)
    _send_files([json.dumps([str(path), kind]).encode() for path, kind in ((TOY, "JSONL"), (empty, None))], outbox)
    outbox.close()
    stream.seek(0)
    parts, contents = zip(*iter(lambda: read_frame(stream), None), strict=True)
    assert parts == (FrameKind.READY, FrameKind.ENTRIES, FrameKind.END, FrameKind.ERROR)
    assert len(list(parse_entries(contents[1]))) == len(TOY.read_text().splitlines())
    assert str(parse_error(contents[3], empty)) == f"{empty} is empty: expected records"


def test_the_process_loads_only_what_reads_files() -> None:
    script = "import sys, engine.collect.worker; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    modules = set(done.stdout.split())
    stages = {name.split(".")[1] for name in modules if name.startswith("engine.")}
    assert not stages & {"corpus", "encode", "index", "query", "reindex", "cli"}
    assert not modules & {"torch", "faiss", "numpy", "sqlite3", "onnxruntime", "click", "multiprocessing"}
