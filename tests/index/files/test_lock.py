import subprocess
import sys
import time
from pathlib import Path

import pytest

from engine.errors import LockedError
from engine.index.files.lock import lock_for_writing

HOLD = "import sys,time; from pathlib import Path; from engine.index.files.lock import lock_for_writing\nwith lock_for_writing(Path(sys.argv[1])):\n print('held', flush=True); time.sleep(60)"


def test_the_second_writer_is_refused_and_told_who_holds_it(tmp_path: Path) -> None:
    path = tmp_path / "LOCK"
    with subprocess.Popen([sys.executable, "-c", HOLD, path], stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        before = path.read_bytes()
        started = time.monotonic()
        with pytest.raises(LockedError, match=rf"another process \(pid {holder.pid} on "), lock_for_writing(path):
            pass
        assert time.monotonic() - started < 1
        assert path.read_bytes() == before
        holder.kill()
    with lock_for_writing(path):  # a killed holder leaves no lock
        pass


def test_stale_text_is_no_lock(tmp_path: Path) -> None:
    path = tmp_path / "LOCK"
    path.write_text("pid 1 on elsewhere since long ago: engine index")
    with lock_for_writing(path):
        assert f"pid {__import__('os').getpid()}" in path.read_text()
