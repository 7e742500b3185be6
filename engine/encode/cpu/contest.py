"""The contest of the ways to run an encoder on this CPU: checked, measured in turns, and remembered."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from engine import stamps
from engine.encode.cpu.contestants import Contestant, read_library_version
from engine.encode.cpu.runners import CpuRunner
from engine.encode.execution.processor import hash_machine
from engine.encode.texts.probes import find_difference
from engine.encode.texts.tokens import Tokens
from engine.errors import EngineError
from engine.records.encoder import EncoderIdentity, Vectors

_log = logging.getLogger(__name__)

_CACHE = "cpu-contest.json"
_ROUNDS = 3
_GAIN = 1.05  # another way is used only if it is faster than the default by this factor; less is noise
_MAX_SLOWER = 3.0  # times as slow as the default on a few texts: not measured further
_MEAN_COSINE = 0.99995  # least mean cosine of the probes to fp32
DEFAULT = "ONNX Runtime fp32"

_Encode = Callable[[Tokens], Vectors]


@dataclass(frozen=True, slots=True)
class ContestTexts:
    """What a contest runs: a few texts to reject slow ways soon, texts to check, texts to measure."""

    few: Tokens
    check: Tokens
    expected: Vectors  # (n, dim) of the texts to check, in fp32
    measured: Tokens


@dataclass(slots=True)
class _Outcome:
    """The result of a contest, which is remembered."""

    winner: str = DEFAULT
    texts_per_s: dict[str, float] = field(default_factory=dict)  # of each way that passed the check
    start_s: dict[str, float] = field(default_factory=dict)  # seconds until it could encode

    def choose(self, n_texts: int) -> str:
        """Return the way that encodes so many texts soonest, with the time that it takes to start."""
        rate, default = self.texts_per_s.get(self.winner), self.texts_per_s.get(DEFAULT)
        if not rate or not default:
            return DEFAULT
        return self.winner if self.start_s.get(self.winner, 0) + n_texts / rate < n_texts / default else DEFAULT


def recall(identity: EncoderIdentity, contestants: Sequence[Contestant]) -> _Outcome | None:
    """Return the outcome that was measured on this machine with the same encoder and libraries; None without one."""
    entry = stamps.load_entries(_CACHE).get(_hash_machine(identity, contestants))
    if not isinstance(entry, dict):
        return None
    try:
        rates, starts = ({str(k): float(v) for k, v in entry[name].items()} for name in ("texts_per_s", "start_s"))
        return _Outcome(str(entry["winner"]), rates, starts)
    except (KeyError, TypeError, ValueError, AttributeError):  # damaged: measured again
        return None


def run_contest(
    identity: EncoderIdentity, contestants: Sequence[Contestant], default: _Encode, trial: ContestTexts
) -> tuple[_Outcome, CpuRunner | None]:
    """Check and measure all ways and remember the outcome. Returns it with the open runner of the winner.

    The runner is None where the default wins. A way that fails in any manner is out, with one line in the log.
    """
    outcome, open_runners = _Outcome(), dict[str, CpuRunner]()
    for contestant in contestants:
        started = time.perf_counter()
        runner, reason = _open_if_good(contestant, default, trial)
        if runner is None:
            _log.info("%s is not used: %s", contestant.name, reason)
            continue
        open_runners[contestant.name], outcome.start_s[contestant.name] = runner, time.perf_counter() - started
    ways: dict[str, _Encode] = {DEFAULT: default} | {name: runner.encode for name, runner in open_runners.items()}
    seconds = _measure(ways, trial.measured)
    outcome.texts_per_s = {name: len(trial.measured.n_tokens) / s for name, s in seconds.items()}
    best = min(seconds, key=lambda name: seconds[name])
    outcome.winner = best if seconds[best] * _GAIN < seconds[DEFAULT] else DEFAULT
    for name, runner in open_runners.items():
        if name != outcome.winner:
            runner.close()
    rates = ", ".join(f"{name} {rate:.1f}" for name, rate in outcome.texts_per_s.items())
    _log.info("encoding with %s; texts a second on this machine: %s", outcome.winner, rates)
    _remember(identity, contestants, outcome)
    return outcome, open_runners.get(outcome.winner)


def open_checked(contestant: Contestant, trial: ContestTexts) -> CpuRunner | None:
    """Open a way that won an earlier contest; None if it fails its check now, which is logged."""
    runner, reason = _open_if_good(contestant, None, trial)
    if runner is None:
        _log.warning("%s is not used: %s", contestant.name, reason)
    return runner


def _open_if_good(contestant: Contestant, default: _Encode | None, trial: ContestTexts) -> tuple[CpuRunner | None, str]:
    """Open a way and check its vectors; return (None, why) if it fails, or is far slower than the default."""
    runner: CpuRunner | None = None
    try:
        runner = contestant.open()
        reason = _find_slowness(runner.encode, default, trial.few) if default else None
        reason = reason or find_difference(runner.encode(trial.check), trial.expected, mean=_MEAN_COSINE)
    except Exception as err:  # libraries fail in many ways
        reason = str(err).split("\n")[0] or repr(err)
    if reason is None:
        return runner, ""
    if runner is not None:
        runner.close()
    return None, reason


def _find_slowness(encode: _Encode, default: _Encode, few: Tokens) -> str | None:
    """Return why a way is out after a few texts: it is far slower than the default; None if it is not."""
    encode(few)  # the first run may compile
    ours, theirs = _count_seconds(encode, few), _count_seconds(default, few)
    return f"it is {ours / theirs:.1f} times as slow as {DEFAULT}" if ours > _MAX_SLOWER * theirs else None


def _measure(ways: dict[str, _Encode], tokens: Tokens) -> dict[str, float]:
    """Return the least time of each way for the texts, in seconds. They take turns, and the first turn warms up."""
    rounds = [{name: _count_seconds(encode, tokens) for name, encode in ways.items()} for _ in range(_ROUNDS)]
    return {name: min(each[name] for each in rounds[1:]) for name in ways}


def _count_seconds(encode: _Encode, tokens: Tokens) -> float:
    """Return how long it takes to encode the texts once."""
    started = time.perf_counter()
    encode(tokens)
    return time.perf_counter() - started


def _remember(identity: EncoderIdentity, contestants: Sequence[Contestant], outcome: _Outcome) -> None:
    """Store an outcome; if it can't be stored, it is measured again."""
    entry = {"winner": outcome.winner, "texts_per_s": outcome.texts_per_s, "start_s": outcome.start_s}
    with contextlib.suppress(OSError, EngineError):
        stamps.keep(stamps.load_entries(_CACHE) | {_hash_machine(identity, contestants): entry}, _CACHE)


def _hash_machine(identity: EncoderIdentity, contestants: Sequence[Contestant]) -> str:
    """Return the key of an outcome, which also depends on the libraries and the encoder."""
    libraries = sorted({"onnxruntime", *(contestant.library for contestant in contestants)})
    return hash_machine(*(f"{library} {read_library_version(library)}" for library in libraries), identity.fingerprint)
