import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from engine.index.generations.folder import IndexFolder


def test_a_search_calls_nobody_and_leaves_nothing_at_home(toy: IndexFolder, tmp_path: Path) -> None:
    """ONNX Runtime since 1.29 sends telemetry from Linux wheels and keeps a device id; here it must not."""
    if shutil.which("strace") is None or subprocess.run(["strace", "-o", "/dev/null", "true"]).returncode:
        pytest.skip("needs strace and the right to trace: apt-get install strace")
    home, trace = tmp_path / "home", tmp_path / "trace"
    home.mkdir()
    environment = {**os.environ, "HOME": str(home), "PYTHONDONTWRITEBYTECODE": "1"}
    for name in ("XDG_CACHE_HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME", "ORT_DISABLE_TELEMETRY"):
        environment.pop(name, None)
    command = [sys.executable, "-m", "engine", "search", "gout", "--indexes", str(toy.path.parent)]
    watched = ["strace", "-f", "-qq", "-o", trace, "-e", "trace=connect,sendto,sendmsg,bind"]
    done = subprocess.run([*watched, *command], capture_output=True, text=True, env=environment)
    assert done.returncode == 0 and len(done.stdout.splitlines()) == 10
    assert "AF_INET" not in trace.read_text()
    assert not list(home.rglob("*"))
