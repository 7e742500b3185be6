import hypothesis.strategies as st
from hypothesis import given

from engine.corpus.duplicates.partition import divide
from engine.corpus.storage.journal import DecisionKind

MERGE, APART = DecisionKind.MERGE, DecisionKind.KEEP_APART


def test_merges_add_up() -> None:
    assert divide([(MERGE, (3, 1)), (MERGE, (5, 4)), (MERGE, (1, 7))]).blocks == [(1, 3, 7), (4, 5)]
    assert divide([(MERGE, (1, 1)), (MERGE, (2,)), (MERGE, ())]).blocks == []


def test_a_later_decision_overrides_an_earlier_one() -> None:
    split = divide([(MERGE, (1, 2, 3)), (APART, (1, 3))])
    assert (split.blocks, split.apart) == ([(1, 2)], {frozenset((1, 3))})  # the rest stays with the first
    assert divide([(MERGE, (1, 2, 3)), (APART, (3, 1))]).blocks == [(2, 3)]
    assert divide([(MERGE, (1, 2)), (APART, (1, 2))]).blocks == []
    again = divide([(APART, (1, 3)), (MERGE, (1, 2)), (MERGE, (2, 3))])
    assert (again.blocks, again.apart) == ([(1, 2, 3)], set())


KINDS = st.sampled_from([MERGE, APART])
SERIES = st.lists(st.tuples(KINDS, st.lists(st.integers(1, 6), min_size=2, max_size=4, unique=True)), max_size=8)


@given(SERIES)
def test_the_last_decision_always_holds(series: list[tuple[DecisionKind, list[int]]]) -> None:
    for end in range(1, len(series) + 1):
        partition = divide(series[:end])
        block_of = {record: block for block in partition.blocks for record in block}
        kind, records = series[end - 1]
        blocks = [block_of.get(record, (record,)) for record in records]
        assert len(set(blocks)) == (1 if kind is MERGE else len(records))
        assert sum(map(len, partition.blocks)) == len(block_of)  # no record is in two
        assert not any(pair <= set(block) for pair in partition.apart for block in partition.blocks)
