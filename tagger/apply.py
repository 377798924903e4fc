"""The tagger: from texts to their entities, with all that it takes in one folder.

The stage `export` writes the folder:

* config.json: the configuration, the temperature of the probabilities, the version of the rules
  that split text, and the SHA-256 of the word vectors and of each file below
* model.safetensors: the trained weights, and the word vectors in half precision by word id
* model.onnx: the same weights as 8-bit integers, which need neither PyTorch nor a GPU
* words.txt, train_tokens.txt, characters.txt: what the encoder knows, see tagger/encoding
* README.md: the model card
"""

import os
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain, count, islice
from pathlib import Path
from typing import Literal, TypeVar

from safetensors import safe_open

from tagger.corpus.tags import types_of
from tagger.document import Document, Entity
from tagger.encoding.encoder import CHARACTERS, TRAIN_TOKENS, Encoder
from tagger.encoding.vocabulary import WORDS
from tagger.files import InputError, check_hashes, reading
from tagger.model.decoder import Decoder
from tagger.predict import CONFIG, Predictor, Scorer, read_configuration
from tagger.text import VERSION, split_text

MODEL, ONNX = "model.safetensors", "model.onnx"
FILES = (MODEL, ONNX, WORDS, TRAIN_TOKENS, CHARACTERS)  # whose SHA-256 the configuration has
# Typographic quotes are read as straight ones, unless train has them: few word vectors do.
STRAIGHT = {"\u2018": "'", "\u2019": "'", "\u201c": '"', "\u201d": '"'}
CHUNK = 40_000  # characters of text that a thread tags at a time, but for longer documents

In = TypeVar("In")
Out = TypeVar("Out")


@dataclass(frozen=True)
class Tagger:
    """Finds the entities of texts. Several threads may use one tagger at a time.

    predictor: finds the entities of sentences
    threads: how many tag side by side; what is found does not depend on it
    """

    predictor: Predictor
    threads: int = 1

    @classmethod
    def load(
        cls,
        folder: str | Path,
        *,
        runtime: Literal["onnx", "torch"] = "onnx",
        threads: int | None = None,
    ) -> "Tagger":
        """The tagger in a folder that the stage `export` wrote.

        Args:
            folder: the folder, `data/tagger` in the pipeline
            runtime: `onnx` runs the model in 8-bit integers with ONNX Runtime. `torch` runs it in
                single precision with PyTorch, which must be installed, as the stage `evaluate`
                does; each of `threads` sets PyTorch to one thread, and keeps to it
            threads: how many tag side by side; by default one for each core of the process

        Raises:
            InputError: this is no such folder, a file of it is missing, damaged or of another
                version, or an argument cannot be used.
        """
        if runtime not in ("onnx", "torch"):
            raise InputError(f"the runtime {runtime!r} is unknown; choose onnx or torch")
        if threads is not None and threads < 1:
            raise InputError(f"{threads} threads cannot tag; give 1 or more, or None")
        folder = Path(folder)
        record = folder / CONFIG
        if not record.is_file():
            raise InputError(
                f"{folder} holds no tagger: {record} is missing. `make repro` writes one to "
                "data/tagger, `make sample` to .sample/data/tagger"
            )
        content, configuration = read_configuration(record)
        with reading(record):
            files = {name: str(content["files"][name]) for name in FILES}
            temperature, tokenizer = float(content["temperature"]), int(content["tokenizer"])
            if not 0.01 <= temperature <= 100:  # nor NaN: no entity would have a probability
                raise ValueError(f"the temperature is {temperature}")
        for name in FILES:
            if not (folder / name).is_file():
                raise InputError(
                    f"{folder / name} is missing, which {record} names; get or export the tagger "
                    "again"
                )
        check_hashes(folder, files, record, "It is damaged: get or export the tagger again")
        if tokenizer != VERSION:
            warnings.warn(
                f"{folder} was scored with version {tokenizer} of the rules that split text, but "
                f"this package has version {VERSION}: on text it may score otherwise",
                stacklevel=2,
            )
        with reading(folder / MODEL), safe_open(folder / MODEL, "numpy") as file:
            vectors = file.get_tensor("vectors")
            crf = [file.get_tensor(f"crf.{name}") for name in ("transitions", "starts", "ends")]
        with reading(record):  # where tags, scheme and weights may not go together
            decoder = Decoder(configuration.tags, configuration.scheme, *crf)
        if runtime == "torch":
            from tagger.model.checkpoint import OneThread, load_model  # PyTorch may be missing

            scorer: Scorer = OneThread(load_model(folder / MODEL, vectors, configuration))
        else:
            from tagger.model.onnx import OnnxScorer

            scorer = OnnxScorer(folder / ONNX, vectors)
        predictor = Predictor(
            encoder=Encoder.load(folder, folder),
            vectors=vectors,
            configuration=configuration,
            scorer=scorer,
            decoder=decoder,
            temperature=temperature,
        )
        return cls(predictor, _cores() if threads is None else threads)

    @property
    def labels(self) -> list[str]:
        """The entity types that the tagger knows."""
        return types_of(self.predictor.configuration.tags)

    def tag(
        self,
        documents: Iterable[str | Document],
        *,
        wrapped: bool = False,
        threshold: float = 0.0,
    ) -> Iterator[Document]:
        """Find the entities of each document, lazily and in order.

        A document is tagged as a whole, and by itself: what is found does not depend on the others.
        Some more documents than those returned are read ahead, for the threads.

        Args:
            documents: texts, or documents; those with `error` pass through. Where a document has
                `sentences` they are kept, else `tagger.text.split_text` finds them
            wrapped: whether a single line break is only a blank, see `split_text`
            threshold: the probability below which an entity is left out

        Returns:
            the documents with their sentences and entities, or with `error`

        Raises:
            InputError: `threshold` is no probability.
            TypeError: `documents` is one document or text, whose characters would be the texts; or
                what it gives is neither, which is raised when it is reached.
        """
        if isinstance(documents, str | Document | Mapping):
            raise TypeError("tag takes several documents; for one give a list: [text]")
        if not 0 <= threshold <= 1:
            raise InputError(f"the threshold {threshold} is no probability; give one from 0 to 1")
        chunks = _chunks(map(_as_document, count(1), documents))
        tag = partial(self._tag_chunk, wrapped=wrapped, threshold=threshold)
        return chain.from_iterable(_map_ahead(tag, chunks, self.threads))

    def _tag_chunk(
        self, documents: Sequence[Document], wrapped: bool, threshold: float
    ) -> list[Document]:
        documents = [_with_sentences(document, wrapped) for document in documents]
        known = self.predictor.encoder.characters
        straight = {ord(quote): to for quote, to in STRAIGHT.items() if quote not in known}
        sentences = [
            (number, [text[start:end] for start, end in offsets])
            for number, document in enumerate(documents)
            if document.error is None
            for text in [document.text.translate(straight)]
            for offsets in document.sentences or ()
        ]
        found = iter(self.predictor.predict([s for _, s in sentences], [n for n, _ in sentences]))
        return [
            document
            if document.error is not None
            else replace(
                document,
                entities=[
                    Entity(start, end, span.type, score, document.text[start:end])
                    for offsets in document.sentences or ()
                    for span, score in next(found)
                    if score >= threshold
                    for start, end in [(offsets[span.start][0], offsets[span.end - 1][1])]
                ],
            )
            for document in documents
        ]


def _cores() -> int:
    """The number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _as_document(number: int, item: object) -> Document:
    """The document that an item of `Tagger.tag` is, or whose text it is.

    Raises:
        TypeError: it is neither.
    """
    if isinstance(item, str):
        return Document(item)
    if isinstance(item, Document):
        return item
    remedy = ': row["text"] for each row' if isinstance(item, Mapping) else ""
    raise TypeError(
        f"item {number} of the documents is of the type {type(item).__name__}; give texts (str) or "
        f"Documents{remedy}"
    )


def _with_sentences(document: Document, wrapped: bool) -> Document:
    """The document with its sentences, or with an error if it cannot be tagged."""
    if document.error is not None:
        return document
    if document.sentences is None:
        return replace(document, sentences=split_text(document.text, wrapped=wrapped))
    length = len(document.text)
    previous = 0  # the end of the token before
    for offsets in document.sentences:
        for start, end in offsets:
            if not previous <= start < end <= length:
                where = f"in a text of {length} characters"
                if 0 <= start < previous:
                    where = f"after one that ends at {previous}"
                return replace(
                    document,
                    error=f"a token from {start} to {end} {where}: give each its place, in the "
                    "order of the text, and none empty or twice",
                )
            previous = end
    return replace(document, sentences=[offsets for offsets in document.sentences if offsets])


def _chunks(documents: Iterable[Document]) -> Iterator[list[Document]]:
    """Documents in lists of CHUNK characters or a little more."""
    chunk: list[Document] = []
    size = 0
    for document in documents:
        chunk.append(document)
        size += len(document.text) + 1  # so that a list of empty ones ends, too
        if size >= CHUNK:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk


def _map_ahead(
    function: Callable[[In], Out], arguments: Iterable[In], threads: int
) -> Iterator[Out]:
    """Call a function with each argument on some threads, a few ahead of what is returned."""
    rest = iter(arguments)
    first = list(islice(rest, 2))
    if threads == 1 or len(first) < 2:
        yield from map(function, chain(first, rest))
        return
    executor = ThreadPoolExecutor(threads, "tagger")
    pending: deque[Future[Out]] = deque()
    try:
        for argument in chain(first, rest):
            pending.append(executor.submit(function, argument))
            if len(pending) > 2 * threads:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        executor.shutdown(cancel_futures=True)
