"""How the packed model runs on a GPU: as it is, compiled, or as a recorded CUDA graph, whichever is fastest there.

Every candidate must first give the vectors of the plain model. One that fails, for whatever reason, is out of the race
and never an error: what compiles and what is fast differ between GPUs and between releases of torch.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median
from time import perf_counter
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity

from engine.encode.packed import Forward
from engine.encode.packing import Pack, most_texts, packs
from engine.encode.tokens import Tokens

log = logging.getLogger(__name__)

SAME_COSINE = 0.9999  # of a candidate's vectors with the plain model's
WARM_UP, RUNS = 2, 5


class Sent(NamedTuple):
    """A pack on the device: the arguments of a Forward."""

    ids: Tensor
    position_ids: Tensor
    cu: Tensor
    longest: int


@dataclass(frozen=True, slots=True)
class Candidate:
    """A way to run the model, made when its turn comes."""

    name: str
    make: Callable[[], Forward]


def fastest(plain: Forward, candidates: Sequence[Candidate], sent: Sent, finish: Callable[[], None]) -> Forward:
    """The fastest of the plain forward and the candidates on this pack.

    `finish` waits until the device has done all it was given.
    """
    wanted = plain(*sent).clone()
    best, best_name, best_time = plain, "plain", duration(plain, sent, finish)
    for candidate in candidates:
        try:
            forward = candidate.make()
            found = forward(*sent)
            cosine = float(cosine_similarity(found, wanted).min())
            time = duration(forward, sent, finish)
        except Exception as err:  # a candidate may fail in any way
            log.warning("forward %r is not used: %s", candidate.name, str(err).split("\n")[0] or repr(err))
            continue
        if not cosine >= SAME_COSINE:
            log.warning("forward %r is not used: its vectors differ, cosine %.6f", candidate.name, cosine)
            continue
        log.info("forward %r: %.2f ms a pack, %r: %.2f ms", candidate.name, time * 1e3, best_name, best_time * 1e3)
        if time < best_time:
            best, best_name, best_time = forward, candidate.name, time
    log.info("forward %r is used: %.2f ms for %d tokens", best_name, best_time * 1e3, len(sent.ids))
    return best


def duration(forward: Forward, sent: Sent, finish: Callable[[], None]) -> float:
    """Seconds that a pack takes, the median of several runs."""

    def run() -> float:
        start = perf_counter()
        forward(*sent)
        finish()
        return perf_counter() - start

    return median([run() for _ in range(WARM_UP + RUNS)][WARM_UP:])


def candidates(model: Forward, budget: int, max_length: int, device: torch.device) -> Sequence[Candidate]:
    """What is worth trying on CUDA."""

    def compiled(dynamic: bool) -> Forward:
        return torch.compile(model, dynamic=dynamic)

    def fixed(forward: Forward) -> Fixed:
        return Fixed(forward, model, budget, max_length, device)

    # Code compiled for any shape would be found again for the one shape, so it comes last.
    return (
        Candidate("graph", lambda: recorded(fixed(model))),
        Candidate("compiled for one shape", lambda: fixed(compiled(False))),
        Candidate("graph of the compiled", lambda: recorded(fixed(compiled(False)))),
        Candidate("compiled", lambda: constant_longest(compiled(True), max_length)),
    )


def constant_longest(forward: Forward, max_length: int) -> Forward:
    """The same forward, told one longest length always, so that it is compiled once; attention takes any bound."""
    return lambda ids, position_ids, cu, longest: forward(ids, position_ids, cu, max_length)


class Fixed:
    """A forward that always sees `budget` tokens and the most texts of a pack, as fixed shapes need.

    The pack lies at the start of buffers that stay where they are. The texts after it are empty, and the tokens after
    it, which belong to no text, are whatever lay there before: valid ids, whose states nobody reads.
    """

    def __init__(
        self, forward: Forward, plain: Forward, budget: int, max_length: int, device: torch.device | str
    ) -> None:
        """Wrap a forward; `plain` takes the packs that would be mostly filler, or don't fit."""
        self.run: Callable[[], Tensor] = lambda: forward(*self.buffers)
        self.plain = plain
        self.buffers = Sent(
            torch.zeros(budget, dtype=torch.int32, device=device),
            torch.zeros(budget, dtype=torch.int32, device=device),
            torch.zeros(most_texts(budget) + 1, dtype=torch.int32, device=device),
            max_length,
        )

    def __call__(self, ids: Tensor, position_ids: Tensor, cu: Tensor, longest: int) -> Tensor:
        """Encode a pack, as any Forward does. The result is overwritten by the next call."""
        places, bounds = len(self.buffers.ids), len(self.buffers.cu)
        if not places < 2 * len(ids) <= 2 * places or len(cu) > bounds:
            return self.plain(ids, position_ids, cu, longest)
        self.buffers.ids[: len(ids)].copy_(ids)
        self.buffers.position_ids[: len(ids)].copy_(position_ids)
        self.buffers.cu[: len(cu)].copy_(cu)
        self.buffers.cu[len(cu) :].fill_(len(ids))
        return self.run()[: len(cu) - 1]


def recorded(fixed: Fixed) -> Fixed:
    """Record the work of a fixed forward once, to be replayed without Python: a CUDA graph."""
    stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(WARM_UP + 1):
            fixed.run()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, capture_error_mode="thread_local"):
        out = fixed.run()

    def replay() -> Tensor:
        graph.replay()
        return out

    fixed.run = replay
    return fixed


def full_pack(budget: int, max_length: int, n_words: int) -> Pack:
    """A pack of made-up texts, between half the longest length and all of it, that fills the budget."""
    random = np.random.default_rng(0)
    lengths = random.integers(max(1, max_length // 2), max_length + 1, most_texts(budget))
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    ids = random.integers(0, n_words, offsets[-1], dtype=np.int32)
    return next(packs(Tokens(ids, offsets, lengths), budget))
