import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.reindex.encoding.spool import Spool

DIM = 4
PAGES = st.lists(st.lists(st.integers(0, 30), max_size=5), max_size=8)


@given(PAGES, st.sets(st.integers(0, 40)), st.sampled_from([0, 100, 4 << 20]))
def test_every_id_finds_its_latest_rows(pages: list[list[int]], wanted: set[int], in_memory: int) -> None:
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr("engine.reindex.encoding.spool._IN_MEMORY", in_memory)
        spool, held, n = Spool(Path(folder, "s"), DIM), {}, 0
        for page in pages:
            rows = np.arange(n * DIM, (n + len(page)) * DIM, dtype=np.float32).reshape(len(page), DIM)
            spool.append(np.array(page, dtype=np.int64), rows)
            held |= {i: [row for j, row in zip(page, rows.tolist(), strict=True) if j == i] for i in page}
            n += len(page)
        ids = np.array(sorted(wanted), dtype=np.int64)
        places, counts = spool.find_places(ids)
        parts = np.split(spool.map_rows()[places], np.cumsum(counts)[:-1]) if len(ids) else []
        found = {int(i): part.tolist() for i, part in zip(ids, parts, strict=True) if len(part)}
        assert found == {i: rows for i, rows in held.items() if i in wanted}
        assert spool.map_rows().shape == (n, DIM)
        assert Path(folder, "s").exists() == (16 * n > in_memory)


def test_it_leaves_nothing_behind(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "s", DIM)
    spool.remove()
    spool.append(np.array([1]), np.ones((1, DIM), np.float32))
    spool.remove()
    assert not list(tmp_path.iterdir())
