"""The way of packs to the device and of vectors back, so that neither keeps the device waiting."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import Protocol

import torch
from torch import Tensor

from engine.encode.forward import Sent
from engine.encode.packing import Pack
from engine.records import Vectors


class Link(Protocol):
    """Between this process and one device. Implemented by HostLink and CudaLink."""

    device: torch.device

    def active(self) -> AbstractContextManager[object]:
        """Make the device the current one of this thread."""
        ...

    def send(self, pack: Pack) -> Sent:
        """Start copying a pack to the device."""
        ...

    def fetch(self, out: Tensor) -> Callable[[], Vectors]:
        """Start copying a result back; the function waits for it."""
        ...

    def finish(self) -> None:
        """Wait until the device has done everything it was given."""
        ...

    def release(self) -> None:
        """Give memory back that is held in reserve."""
        ...


class HostLink:
    """The "device" is this machine's own processor: nothing is copied."""

    def __init__(self) -> None:
        self.device = torch.device("cpu")

    def active(self) -> AbstractContextManager[object]:
        """Nothing to do."""
        return nullcontext()

    def send(self, pack: Pack) -> Sent:
        """The pack's own arrays as tensors."""
        ids, places, cu = (torch.from_numpy(array) for array in (pack.ids, pack.position_ids, pack.cu_seqlens))
        return Sent(ids, places, cu, pack.longest)

    def fetch(self, out: Tensor) -> Callable[[], Vectors]:
        """The result's own array."""
        vectors: Vectors = out.numpy()
        return lambda: vectors

    def finish(self) -> None:
        """Nothing to do."""

    def release(self) -> None:
        """Nothing to do."""


class CudaLink:
    """A GPU. Packs go there by a stream of their own and from page-locked memory, which torch keeps and reuses."""

    def __init__(self, device: str) -> None:
        self.device = torch.device(device)
        self.copying = torch.cuda.Stream(self.device)  # type: ignore[no-untyped-call]

    def active(self) -> AbstractContextManager[object]:
        """Make the device the current one of this thread."""
        return torch.cuda.device(self.device)

    def send(self, pack: Pack) -> Sent:
        """Start copying a pack; work that is queued after this call waits for the copy, work that runs now does not."""
        computing = torch.cuda.current_stream(self.device)
        with torch.cuda.stream(self.copying):
            arrays = (pack.ids, pack.position_ids, pack.cu_seqlens)
            tensors = [torch.from_numpy(a).pin_memory().to(self.device, non_blocking=True) for a in arrays]
        computing.wait_stream(self.copying)
        for tensor in tensors:
            tensor.record_stream(computing)  # its memory is the copy stream's, which must not reuse it too early
        ids, places, cu = tensors
        return Sent(ids, places, cu, pack.longest)

    def fetch(self, out: Tensor) -> Callable[[], Vectors]:
        """Start copying a result back; the function waits for it."""
        host = torch.empty(out.shape, dtype=out.dtype, pin_memory=True)
        host.copy_(out, non_blocking=True)
        arrived = torch.cuda.current_stream(self.device).record_event()

        def vectors() -> Vectors:
            arrived.synchronize()
            found: Vectors = host.numpy()
            return found

        return vectors

    def finish(self) -> None:
        """Wait until the device has done everything it was given."""
        torch.cuda.synchronize(self.device)

    def release(self) -> None:
        """Give memory back that torch holds in reserve."""
        torch.cuda.empty_cache()


def sent_ahead(link: Link, packs: Iterable[Pack]) -> Iterator[tuple[Pack, Sent]]:
    """Each pack with its copy on the device; the next one is on its way before this one is handed out."""
    waiting: tuple[Pack, Sent] | None = None
    for pack in packs:
        now = pack, link.send(pack)
        if waiting is not None:
            yield waiting
        waiting = now
    if waiting is not None:
        yield waiting
