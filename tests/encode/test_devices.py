"""Workers in processes of their own, two of them on "cpu"; some are killed."""

import json
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs the [cpu] extra")

from engine.encode.cuda import CudaEncoder
from engine.encode.devices import DevicesEncoder, Worker
from engine.encode.model import identify
from engine.errors import EncoderError
from engine.records import Encoded
from tests.conftest import ROOT, TOY, TOY_MODEL

PAGE = [f"{row['title']}. {row['abstract']}" for row in map(json.loads, TOY.read_text(encoding="utf-8").splitlines())]
IDENTITY = identify(TOY_MODEL, "toy")


@pytest.fixture(scope="module")
def wanted() -> Encoded:
    return CudaEncoder(TOY_MODEL, IDENTITY, "cpu").encode(PAGE)


@pytest.fixture(scope="module")
def two() -> Iterator[DevicesEncoder]:
    with DevicesEncoder(TOY_MODEL, IDENTITY, ["cpu", "cpu"]) as encoder:
        yield encoder


def pid(worker: Worker) -> int:
    assert worker.process is not None
    return worker.process.pid or 0


def alive(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def until(holds: Callable[[], bool]) -> bool:
    """Wait for something, at most a minute."""
    end = time.monotonic() + 60
    while not (done := holds()) and time.monotonic() < end:
        time.sleep(0.05)
    return done


def same(found: Encoded, wanted: Encoded) -> bool:
    return np.abs(found.vectors - wanted.vectors).max() < 1e-5 and np.array_equal(found.n_tokens, wanted.n_tokens)


def test_two_workers_give_the_vectors_of_one_encoder_in_order(two: DevicesEncoder, wanted: Encoded) -> None:
    assert (two.page, two.ahead, two.identity) == (8192, 4, IDENTITY)
    assert same(two.encode(PAGE), wanted)
    orders = [np.random.default_rng(i).permutation(len(PAGE)) for i in range(20)]
    with ThreadPoolExecutor(two.ahead) as pool:
        found = list(pool.map(lambda order: two.encode([PAGE[i] for i in order]), orders))
    for order, encoded in zip(orders, found, strict=True):
        assert same(encoded, Encoded(wanted.vectors[order], wanted.n_tokens[order]))


def test_both_workers_work(two: DevicesEncoder) -> None:
    """One is stopped with all its lanes taken; the other still answers."""
    os.kill(pid(two.workers[0]), signal.SIGSTOP)
    try:
        with ThreadPoolExecutor(4) as pool:
            calls = [pool.submit(two.encode, PAGE) for _ in range(4)]
            assert until(lambda: sum(call.done() for call in calls) == 2)
            assert two.free.qsize() == 2
            os.kill(pid(two.workers[0]), signal.SIGCONT)
            assert all(len(call.result(60).vectors) == len(PAGE) for call in calls)
    finally:
        os.kill(pid(two.workers[0]), signal.SIGCONT)


def test_pages_of_a_killed_worker_are_done_again(
    two: DevicesEncoder, wanted: Encoded, caplog: pytest.LogCaptureFixture
) -> None:
    victim = pid(two.workers[0])
    os.kill(victim, signal.SIGSTOP)  # so that it is in the middle of its pages for sure
    with ThreadPoolExecutor(4) as pool:
        calls: list[Future[Encoded]] = [pool.submit(two.encode, PAGE) for _ in range(12)]
        assert until(lambda: sum(call.done() for call in calls) == 10)
        os.kill(victim, signal.SIGKILL)
        assert all(same(call.result(60), wanted) for call in calls)
    assert caplog.text.count("the worker of cpu died. Its 40 texts are done again") == 2
    assert until(lambda: same(two.encode(PAGE), wanted) and two.workers[0].process is not None)  # started again
    assert pid(two.workers[0]) != victim


def test_an_error_in_a_worker_reaches_the_caller(two: DevicesEncoder, wanted: Encoded) -> None:
    with pytest.raises(EncoderError, match="^cpu: .*(NoneType|TextInputSequence|str)"):
        two.encode([None])  # type: ignore[list-item]
    assert two.free.qsize() == 4
    assert same(two.encode(PAGE), wanted)


def test_a_page_that_kills_every_worker_is_given_up(
    two: DevicesEncoder, wanted: Encoded, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every worker is killed as soon as it has the page."""
    deaths: list[int] = []
    encode = Worker.encode

    def deadly(worker: Worker, texts: list[str], lane: int) -> Encoded:
        worker.connected()
        os.kill(pid(worker), signal.SIGSTOP)
        deaths.append(pid(worker))
        threading.Timer(0.2, os.kill, (pid(worker), signal.SIGKILL)).start()
        return encode(worker, texts, lane)

    monkeypatch.setattr(Worker, "encode", deadly)
    with pytest.raises(EncoderError, match="3 workers died over the same 40 texts, on cpu, cpu, cpu"):
        two.encode(PAGE)
    assert len(set(deaths)) == 3
    monkeypatch.undo()
    assert same(two.encode(PAGE), wanted)
    assert two.free.qsize() == 4


def test_a_device_that_can_not_start_again_is_left_out(tmp_path: Path, wanted: Encoded) -> None:
    folder = Path(shutil.copytree(TOY_MODEL, tmp_path / "model"))
    encoder = DevicesEncoder(folder, IDENTITY, ["cpu", "cpu"])
    shutil.rmtree(folder)
    os.kill(pid(encoder.workers[0]), signal.SIGKILL)
    for _ in range(6):
        assert same(encoder.encode(PAGE), wanted)
    assert {seat.worker for seat in encoder.seats} == {encoder.workers[1]}
    os.kill(pid(encoder.workers[1]), signal.SIGKILL)
    with pytest.raises(EncoderError, match="no device is left"):
        encoder.encode(PAGE)
    with pytest.raises(EncoderError, match="no device is left"):
        encoder.encode(PAGE)
    encoder.close()


def test_a_device_that_can_not_be_used_is_said_and_leaves_no_process() -> None:
    before = set(multiprocessing.active_children())
    with pytest.raises(EncoderError, match=r"^nonsense: .*can't be loaded"):
        DevicesEncoder(TOY_MODEL, IDENTITY, ["nonsense", "cpu"])
    assert set(multiprocessing.active_children()) == before


def test_close_leaves_no_process() -> None:
    encoder = DevicesEncoder(TOY_MODEL, IDENTITY, ["cpu"])
    worker = pid(encoder.workers[0])
    os.kill(worker, signal.SIGSTOP)
    with ThreadPoolExecutor(1) as pool:
        call = pool.submit(encoder.encode, PAGE)
        assert until(lambda: encoder.free.qsize() == 1)
        encoder.close()
        with pytest.raises(EncoderError, match="was closed"):
            call.result(60)
    assert not alive(worker)
    with pytest.raises(EncoderError, match="was closed"):
        encoder.encode(PAGE)


def test_workers_end_with_their_parent(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(f"""
import time
from pathlib import Path
from engine.encode.devices import DevicesEncoder
from engine.encode.model import identify
if __name__ == "__main__":
    folder = Path({str(TOY_MODEL)!r})
    encoder = DevicesEncoder(folder, identify(folder, "toy"), ["cpu"])
    print(encoder.workers[0].process.pid, flush=True)
    time.sleep(300)
""")
    command = [sys.executable, str(script)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as parent:
        assert parent.stdout is not None
        worker = int(parent.stdout.readline())
        assert alive(worker)
        parent.kill()
    assert until(lambda: not alive(worker))


def test_the_parent_needs_no_torch() -> None:
    code = "import sys, engine.encode.devices; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0
