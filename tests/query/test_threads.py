"""One open index, asked from many threads and from an event loop, answers as it does alone."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

from engine import Query, open_index
from engine.index.generations.folder import IndexFolder

QUESTIONS = [
    f"{drug} in {disease}" for drug in ("colchicine", "prednisone", "etanercept") for disease in ("gout", "lupus")
]


def test_many_threads_get_the_answers_of_one(toy: IndexFolder) -> None:
    with open_index(toy.path) as index:
        with ThreadPoolExecutor(8) as pool:  # the first calls load encoder and words
            found = list(pool.map(lambda text: index.ask(Query(text, explain=True)), QUESTIONS * 4))
        assert found == [index.ask(Query(text, explain=True)) for text in QUESTIONS] * 4


def test_an_event_loop_goes_on_while_threads_search(toy: IndexFolder) -> None:
    async def ask() -> tuple[list[object], int]:
        with open_index(toy.path) as index:
            n_turns, is_done = 0, asyncio.Event()

            async def turn() -> None:
                nonlocal n_turns
                while not is_done.is_set():
                    n_turns += 1
                    await asyncio.sleep(0)

            turning = asyncio.create_task(turn())
            found = await asyncio.gather(*(asyncio.to_thread(index.search, text) for text in QUESTIONS))
            is_done.set()
            await turning
            return list(found), n_turns

    found, n_turns = asyncio.run(ask())
    with open_index(toy.path) as index:
        assert found == [index.search(text) for text in QUESTIONS]
    assert n_turns > 1
