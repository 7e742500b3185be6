"""Orders of records that can be told by hand."""

from engine.review.desk.orders import OrderName, ReadingOrder, WhyNext, _carry_order


def test_an_order_is_carried_into_another_generation() -> None:
    before = ReadingOrder(OrderName.LEARNED, (5, 3, 4), lambda doc_id, included: WhyNext("Learned"), 2)
    now = _carry_order(before, {5: 50, 4: 40}, (10, 40, 20, 50))  # 3 is gone, 10 and 20 are new
    assert (now.name, now.doc_ids, now.n_learned) == (OrderName.LEARNED, (50, 40, 10, 20), 2)
    assert now.explain(50, ()).text == "As it was ordered before the index or the criteria changed"
