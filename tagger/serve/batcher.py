"""The queue between the requests and the one thread that tags."""

import logging
import threading
import traceback
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from itertools import islice
from typing import Protocol

from tagger.document import Document

logger = logging.getLogger(__name__)

BATCH = 100_000  # characters that are tagged together; a longer request is tagged alone
WAITING = 4 * 2**20  # characters that may wait


class TagsDocuments(Protocol):
    """What `tagger.apply.Tagger` does for the server."""

    @property
    def labels(self) -> Sequence[str]:
        """The labels that an entity may have."""

    def tag(self, documents: Iterable[str], *, wrapped: bool) -> Iterator[Document]:
        """The documents with their entities, or with an error, in order."""


class QueueFullError(Exception):
    """So much waits to be tagged that a request should come again later."""


@dataclass(eq=False)
class Job:
    """The texts of a request, and the documents that are to become of them."""

    texts: Sequence[str]
    wrapped: bool
    documents: Future[list[Document]] = field(default_factory=Future)

    @property
    def size(self) -> int:
        """Its number of characters."""
        return sum(map(len, self.texts))


class Batcher:
    """One thread that tags what requests bring, together what comes together.

    The thread takes a request as soon as it is free, so a lone one never waits for others. Those
    that come while it tags wait in a queue, and are tagged together next.

    Args:
        tagger: it is called by this thread alone
        batch: number of characters that are tagged together
        waiting: number of characters that may wait; a request that would make it more is refused,
            unless nothing waits
    """

    def __init__(
        self, tagger: TagsDocuments, *, batch: int = BATCH, waiting: int = WAITING
    ) -> None:
        self.tagger = tagger
        self._batch = batch
        self._limit = waiting
        self._jobs: deque[Job] = deque()
        self._waiting = 0  # characters in _jobs
        self._is_closing = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="tagger", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def close(self) -> None:
        """End the thread after the batch that it is at. What waits is cancelled."""
        with self._changed:
            self._is_closing = True
            self._changed.notify()
        self._thread.join()
        for job in list(self._jobs):
            job.documents.cancel()

    def submit(self, texts: Sequence[str], *, wrapped: bool) -> Future[list[Document]]:
        """Have texts tagged.

        Returns:
            The documents in the order of the texts. To cancel it takes the texts out of the queue,
            unless their tagging has begun.

        Raises:
            QueueFullError: too much waits already.
        """
        job = Job(texts, wrapped)
        with self._changed:
            if self._jobs and self._waiting + job.size > self._limit:
                raise QueueFullError
            self._jobs.append(job)
            self._waiting += job.size
            self._changed.notify()
        job.documents.add_done_callback(lambda future: self._forget(job, future))
        return job.documents

    def _forget(self, job: Job, future: Future[list[Document]]) -> None:
        """Take a job that was cancelled out of the queue."""
        with self._changed:
            if future.cancelled() and job in self._jobs:
                self._jobs.remove(job)
                self._waiting -= job.size

    def _take(self) -> list[Job]:
        """The jobs to tag together, once there are any; none when the thread is to end."""
        with self._changed:
            self._changed.wait_for(lambda: self._jobs or self._is_closing)
            taken: list[Job] = []
            size = 0
            while self._jobs and not self._is_closing:
                job = self._jobs[0]
                size += job.size
                if taken and (size > self._batch or job.wrapped != taken[0].wrapped):
                    break
                self._jobs.popleft()
                self._waiting -= job.size
                taken.append(job)
        return taken

    def _run(self) -> None:
        while jobs := self._take():
            # From here on a job can no longer be cancelled.
            self._tag([job for job in jobs if job.documents.set_running_or_notify_cancel()])

    def _tag(self, jobs: Sequence[Job]) -> None:
        """Tag jobs together. If that fails, each alone, so that one does not fail the others."""
        if not jobs:
            return
        texts = (text for job in jobs for text in job.texts)
        try:
            documents = self.tagger.tag(texts, wrapped=jobs[0].wrapped)
            for job in jobs:
                found = list(islice(documents, len(job.texts)))
                assert len(found) == len(job.texts), "the tagger gave too few documents"
                job.documents.set_result(found)
        except Exception as error:
            left = [job for job in jobs if not job.documents.done()]
            if len(jobs) > 1:
                for job in left:
                    self._tag([job])
                return
            # Where it failed, but not its message: that may hold a user's text.
            frames = traceback.extract_tb(error.__traceback__)
            places = ", ".join(f"{frame.filename}:{frame.lineno}" for frame in frames)
            logger.error("Tagging failed: %s (%s)", type(error).__name__, places)
            for job in left:
                job.documents.set_exception(error)
