"""The predictor: from sentences of tokens to entities with their probabilities.

It needs neither PyTorch nor ONNX Runtime: what scores the tags of a batch is given to it.
"""

import json
from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from tagger.corpus.tags import Span, iob2
from tagger.encoding.context import Context
from tagger.encoding.encoder import Encoder
from tagger.encoding.split import Batch, Split, cut_by_cells
from tagger.files import reading
from tagger.model.configuration import TaggerConfiguration
from tagger.model.decoder import Decoder

CONFIG = "config.json"  # in the folder of a tagger


class Scorer(Protocol):
    """What gives the emissions of a batch: PyTorch's model, or its form for ONNX."""

    def score(self, batch: Batch) -> np.ndarray:
        """The score of each tag at each token, [tokens, tags] float32."""
        ...


@dataclass(frozen=True)
class Predictor:
    """Finds the entities of sentences of tokens. Several threads may use it at a time.

    encoder: turns tokens into what the model reads
    vectors: the word vectors by word id, [words + 2, dimension] float32 or float16
    configuration: of the model
    scorer: the model
    decoder: finds the best tags
    temperature: what scores are divided by, so that probabilities are calibrated
    """

    encoder: Encoder
    vectors: np.ndarray
    configuration: TaggerConfiguration
    scorer: Scorer
    decoder: Decoder
    temperature: float

    def predict(
        self,
        sentences: Sequence[Sequence[str]],
        documents: Sequence[int],
        executor: Executor | None = None,
    ) -> list[list[tuple[Span, float]]]:
        """Find the entities of sentences of tokens.

        Args:
            sentences: the tokens of each, see `Encoder.encode`. One of more than MAX_TOKENS is
                tagged in parts, and what goes across two of them comes as two entities
            documents: the number of each sentence's document, see there
            executor: to tag several batches at a time

        Returns:
            by sentence, its entities from left to right with their probabilities
        """
        if not sentences:
            return []
        split = self.encoder.encode(sentences, documents)
        document = self.configuration.document
        context = Context.of(split, self.vectors).features if document else None

        def predict(chosen: np.ndarray) -> list[list[tuple[Span, float]]]:
            batch = split.batch(chosen, context)
            emissions = self.scorer.score(batch)
            spans = self.decoder.spans(self.decoder.decode(emissions, batch.layout), batch.layout)
            probabilities = self.decoder.span_probabilities(
                emissions, batch.layout, spans, self.temperature
            )
            return [
                list(zip(*both, strict=True)) for both in zip(spans, probabilities, strict=True)
            ]

        cut = cut_by_cells(split.lengths)
        results = (map if executor is None else executor.map)(predict, cut)
        found: list[list[tuple[Span, float]]] = [[]] * len(split)
        for chosen, result in zip(cut, results, strict=True):
            for number, sentence in zip(chosen.tolist(), result, strict=True):
                found[number] = sentence
        return found if len(split) == len(sentences) else _join(found, split, sentences)


def _join(
    found: Sequence[Sequence[tuple[Span, float]]], split: Split, sentences: Sequence[Sequence[str]]
) -> list[list[tuple[Span, float]]]:
    """The entities by sentence, from those by part of a sentence, see `Encoder.encode_types`."""
    starts = np.cumsum([0, *map(len, sentences)])
    numbers = np.searchsorted(starts, split.offsets[:-1], "right") - 1
    shifts = split.offsets[:-1] - starts[numbers]
    joined: list[list[tuple[Span, float]]] = [[] for _ in sentences]
    for number, shift, entities in zip(numbers.tolist(), shifts.tolist(), found, strict=True):
        joined[number] += [
            (Span(span.start + shift, span.end + shift, span.type), score)
            for span, score in entities
        ]
    return joined


def tags_and_probabilities(
    found: Sequence[Sequence[tuple[Span, float]]], sentences: Sequence[Sequence[str]]
) -> tuple[list[list[str]], list[list[float]]]:
    """What `Predictor.predict` found, as it is written and scored.

    Args:
        found: the entities of each sentence and their probabilities, in the order of the sentence
        sentences: the tokens of each sentence

    Returns:
        by sentence, the tags in IOB2, and the probabilities of the entities
    """
    pairs = zip(found, sentences, strict=True)
    tags = [iob2((span for span, _ in entities), len(tokens)) for entities, tokens in pairs]
    return tags, [[probability for _, probability in entities] for entities in found]


def read_configuration(record: Path) -> tuple[dict[str, Any], TaggerConfiguration]:
    """What a config.json holds, and the configuration of the model in it.

    Raises:
        InputError: the file is damaged, or of another version.
    """
    with reading(record):
        content = json.loads(record.read_text(encoding="utf-8"))
        fields = content["tagger"]
        return content, TaggerConfiguration(**fields | {"tags": tuple(fields["tags"])})


def write_configuration(path: Path, content: dict[str, Any]) -> None:
    """Write a config.json."""
    path.write_text(f"{json.dumps(content, indent=2, sort_keys=True)}\n", encoding="utf-8")
