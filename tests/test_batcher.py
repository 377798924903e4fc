"""The queue of the server: what comes together is tagged together, and no request fails another."""

import threading
from collections.abc import Iterator
from concurrent.futures import CancelledError

import pytest

from tagger.serve.batcher import Batcher, QueueFullError
from tests.fake_tagger import FakeTagger, wait_until


@pytest.fixture
def tagger() -> FakeTagger:
    return FakeTagger()


@pytest.fixture
def batcher(tagger: FakeTagger) -> Iterator[Batcher]:
    batcher = Batcher(tagger, batch=20, waiting=40)
    batcher.start()
    yield batcher
    tagger.go.set()
    batcher.close()


def occupy(batcher: Batcher, tagger: FakeTagger) -> None:
    """Let the thread begin to tag something that waits for `go`."""
    batcher.submit(["wait"], wrapped=False)
    tagger.wait_until_tagging()


def test_what_comes_while_it_tags_is_tagged_together(batcher: Batcher, tagger: FakeTagger) -> None:
    occupy(batcher, tagger)
    futures = [batcher.submit([f"Text {i}", "B"], wrapped=False) for i in range(3)]
    tagger.go.set()
    for i, future in enumerate(futures):
        texts = [f"Text {i}", "B"]
        assert future.result(60) == [tagger.document(text) for text in texts]
    # 20 characters at a time
    assert tagger.calls == [["wait"], ["Text 0", "B", "Text 1", "B"], ["Text 2", "B"]]


def test_a_batch_is_of_one_kind_and_a_long_request_has_its_own(
    batcher: Batcher, tagger: FakeTagger
) -> None:
    occupy(batcher, tagger)
    for texts, wrapped in ([["a"], False], [["b"], True], [["c" * 30], True], [["d"], True]):
        last = batcher.submit(texts, wrapped=wrapped)  # type: ignore[arg-type]
    tagger.go.set()
    last.result(60)
    assert tagger.calls[1:] == [["a"], ["b"], ["c" * 30], ["d"]]


def test_the_queue_is_bounded_by_characters(batcher: Batcher, tagger: FakeTagger) -> None:
    occupy(batcher, tagger)
    long = batcher.submit(["x" * 1000], wrapped=False)  # alone, more than the bound may wait
    with pytest.raises(QueueFullError):
        batcher.submit(["a"], wrapped=False)
    assert long.cancel()  # makes room, since nobody waits for it
    kept = [batcher.submit(["y" * 20], wrapped=False) for _ in range(2)]
    with pytest.raises(QueueFullError):
        batcher.submit(["a"], wrapped=False)
    tagger.go.set()
    for future in kept:
        future.result(60)
    batcher.submit(["a"], wrapped=False).result(60)
    assert "x" * 1000 not in tagger.texts


def test_what_is_being_tagged_cannot_be_cancelled(batcher: Batcher, tagger: FakeTagger) -> None:
    future = batcher.submit(["wait"], wrapped=False)
    tagger.wait_until_tagging()
    assert not future.cancel()
    tagger.go.set()
    assert len(future.result(60)) == 1


def test_a_failure_reaches_its_own_request_alone_and_no_log_has_a_text(
    batcher: Batcher, tagger: FakeTagger, caplog: pytest.LogCaptureFixture
) -> None:
    occupy(batcher, tagger)
    futures = [batcher.submit([text], wrapped=False) for text in ("Ada", "fail", "Bo", "refuse")]
    tagger.go.set()
    assert [entity.text for entity in futures[0].result(60)[0].entities] == ["Ada"]
    with pytest.raises(RuntimeError):
        futures[1].result(60)
    assert [entity.text for entity in futures[2].result(60)[0].entities] == ["Bo"]
    assert futures[3].result(60)[0].error
    assert "RuntimeError" in caplog.text
    assert "fake_tagger.py" in caplog.text
    assert "a message that holds the text" not in caplog.text


def test_closing_ends_the_thread_and_what_waits(tagger: FakeTagger) -> None:
    batcher = Batcher(tagger)
    batcher.start()
    occupy(batcher, tagger)
    waiting = batcher.submit(["never"], wrapped=False)
    closing = threading.Thread(target=batcher.close)
    closing.start()
    wait_until(lambda: batcher._is_closing)
    tagger.go.set()
    closing.join(60)
    with pytest.raises(CancelledError):
        waiting.result(0)
    assert not batcher._thread.is_alive()
