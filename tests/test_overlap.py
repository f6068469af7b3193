"""Reading ahead and writing behind: the same items, in order, and no error is lost."""

import threading
import time

import pytest

from posekit.inference.overlap import MOST, ahead, behind


def test_items_come_in_order_made_by_another_thread_and_few_wait():
    made: list[int] = []

    def items():  # noqa: ANN202
        for number in range(50):
            made.append(threading.get_ident())
            yield number

    taken = []
    for number in ahead(items()):
        taken.append(number)
        time.sleep(0.001)
        assert len(made) <= len(taken) + MOST + 1
    assert taken == list(range(50)) and threading.get_ident() not in made
    assert list(ahead(iter([]))) == []


def test_an_error_comes_after_the_items_before_it():
    def items():  # noqa: ANN202
        yield 1
        raise ValueError("second")

    taken = ahead(items())
    assert next(taken) == 1
    with pytest.raises(ValueError, match="second"):
        next(taken)


def test_the_next_is_made_while_the_caller_works():
    second = threading.Event()

    def items():  # noqa: ANN202
        yield 1
        second.set()
        yield 2

    taken = ahead(items())
    assert next(taken) == 1 and second.wait(60) and next(taken) == 2


def test_work_is_done_in_order_before_the_block_ends():
    done: list[int] = []
    with behind() as later:
        for number in range(20):
            later(lambda it: (time.sleep(0.002), done.append(it)), number)
    assert done == list(range(20))


def test_an_error_ends_the_block_and_stops_the_rest():
    done: list[int] = []

    def work(number: int) -> None:
        if number == 3:
            raise OSError("disk full")
        done.append(number)

    with pytest.raises(OSError, match="disk full"), behind() as later:
        for number in range(100):
            later(work, number)
    assert 3 not in done and len(done) < 20
