import faiss
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import ConfigError
from engine.index.search.factory import _EXACT_BELOW, Factory, choose_factory, choose_n_lists, parse_factory

EXACT = Factory()


@pytest.mark.parametrize("text", ["IDMap2,Flat", "IVF4096,RaBitQfs", "IVF65536_HNSW32,RaBitQfs"])
def test_factory_strings_are_read_as_faiss_reads_them(text: str) -> None:
    found = parse_factory(text)
    assert str(found) == text
    index = faiss.downcast_index(faiss.index_factory(16, text, faiss.METRIC_INNER_PRODUCT))
    assert getattr(index, "nlist", 0) == found.n_lists
    assert found.exact == (found.n_lists == 0)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Flat",
        "HNSW32",
        "IVF0,RaBitQfs",
        "IVF16,Flat",
        "IVF16,RaBitQfs,Refine(Flat)",
        "IVF16,RaBitQfs2",
        "ivf16,rabitqfs",
        "IVF16_HNSW1,RaBitQfs",
    ],
)
def test_types_that_cannot_forget_or_are_not_known_are_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="can't be used: expected auto, IDMap2,Flat, IVF"):
        parse_factory(text)


@pytest.mark.parametrize(
    ("n", "factory"),
    [
        (0, "IDMap2,Flat"),
        (100_000, "IDMap2,Flat"),
        (999_999, "IDMap2,Flat"),
        (1_000_000, "IVF4096,RaBitQfs"),
        (4_000_000, "IVF8192,RaBitQfs"),
        (40_000_000, "IVF32768_HNSW32,RaBitQfs"),
    ],
)
def test_the_type_is_chosen_by_size_with_a_reason(n: int, factory: str) -> None:
    found, reason = choose_factory(None, n, None)
    assert str(found) == factory
    assert f"{n:,} abstracts" in reason
    assert choose_factory("auto", n, None) == (found, reason)


def test_an_index_near_a_limit_stays_what_it_is() -> None:
    ivf = Factory(4096)
    assert choose_factory(None, _EXACT_BELOW - 1, ivf)[0] == ivf
    assert choose_factory(None, _EXACT_BELOW // 2 - 1, ivf)[0] == EXACT
    assert choose_factory(None, 1_700_000, ivf)[0] == ivf  # 8,192 would be nearer
    assert choose_factory(None, 10_000_000, ivf)[0] == Factory(16_384, 32)
    assert choose_factory(None, _EXACT_BELOW, EXACT)[0] == ivf


def test_what_the_user_says_counts() -> None:
    assert choose_factory("IVF64,RaBitQfs", 100, None) == (Factory(64), "as index.toml says")
    assert choose_factory("IDMap2,Flat", 10**7, Factory(4096))[0] == EXACT
    with pytest.raises(ConfigError, match=r"more lists than there are abstracts \(63\)"):
        choose_factory("IVF64,RaBitQfs", 63, None)


@given(st.integers(1, 10**9))
def test_lists_grow_as_the_square_root(n: int) -> None:
    assert 2.8 * n**0.5 <= choose_n_lists(n) <= 5.7 * n**0.5
