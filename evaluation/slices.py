"""Which entities each sentence has, found and missed: the counts that every score is made of.

A table of them, metrics/sentences.csv, holds no word of the corpus, and yet all that is needed to
compare two taggers sentence by sentence, by type of entity and by slice.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from evaluation.significance import bootstrap, f1, interval
from tagger.corpus.tags import Span, spans
from tagger.encoding.document import is_in_capitals

SLICES = {  # in metrics.json and sentences.csv, and as a person reads it
    "seen_entities": "entities seen in train",
    "unseen_entities": "entities unseen in train",
    "new_sentences": "sentences that train has not",
    "sentences_in_capitals": "sentences in capitals",
    "length_1": "entities of 1 token",
    "length_2": "entities of 2 tokens",
    "length_3_or_more": "entities of 3 tokens or more",
}
OF_ENTITIES = [name for name in SLICES if "sentences" not in name]
OF_SENTENCES = [name for name in SLICES if "sentences" in name]
# A tagger cannot choose what it finds by what train has: only what it misses is told apart.
BY_RECALL = ("seen_entities", "unseen_entities")
COUNTS = ("correct", "predicted", "gold")

Tags = Sequence[str]


class Train(NamedTuple):
    """What train has: its entities, each as its tokens and its type, and its sentences."""

    entities: frozenset[tuple[tuple[str, ...], str]]
    sentences: frozenset[tuple[str, ...]]

    @classmethod
    def of(cls, sentences: Iterable[Sequence[str]], tags: Iterable[Tags]) -> "Train":
        """Of sentences' tokens, and their tags."""
        entities: set[tuple[tuple[str, ...], str]] = set()
        distinct: set[tuple[str, ...]] = set()
        for tokens, some in zip(sentences, tags, strict=True):
            distinct.add(tuple(tokens))
            entities.update((tuple(tokens[s.start : s.end]), s.type) for s in spans(some))
        return cls(frozenset(entities), frozenset(distinct))

    def slices_of(self, tokens: Sequence[str], entity: Span) -> tuple[str, str]:
        """The slices of an entity: whether train has it, as these tokens and type; its length."""
        length = entity.end - entity.start
        is_seen = (tuple(tokens[entity.start : entity.end]), entity.type) in self.entities
        return (
            "seen_entities" if is_seen else "unseen_entities",
            f"length_{length}" if length < 3 else "length_3_or_more",
        )

    def slices_of_sentence(self, tokens: Sequence[str]) -> list[str]:
        """The slices of a sentence: whether train lacks it, and whether it is in capitals."""
        truths = (tuple(tokens) not in self.sentences, is_in_capitals(tokens))
        return [name for name, truth in zip(OF_SENTENCES, truths, strict=True) if truth]


def count(
    sentences: Iterable[Sequence[str]],
    documents: Iterable[int],
    gold: Iterable[Tags],
    predicted: Iterable[Tags],
    types: Sequence[str],
    train: Train,
) -> pd.DataFrame:
    """What the tags of some sentences have in common, a row a sentence.

    Returns:
        document and sentence (its number, from 0); for each slice of sentences 1 or 0; and for each
        type and each slice of entities, as `name.correct`, `name.predicted` and `name.gold`, the
        number of entities that both tags mark, of those predicted, and of the gold ones
    """
    groups = [*(f"type.{type_}" for type_ in types), *OF_ENTITIES]
    columns = [f"{group}.{what}" for group in groups for what in COUNTS]
    rows = []
    for number, (tokens, document, expected, found) in enumerate(
        zip(sentences, documents, gold, predicted, strict=True)
    ):
        inside = train.slices_of_sentence(tokens)
        row = dict.fromkeys(columns, 0)
        entities = {"gold": set(spans(expected)), "predicted": set(spans(found))}
        entities["correct"] = entities["gold"] & entities["predicted"]
        for what, some in entities.items():
            for entity in some:
                for group in (*train.slices_of(tokens, entity), f"type.{entity.type}"):
                    row[f"{group}.{what}"] += 1
        flags = {name: int(name in inside) for name in OF_SENTENCES}
        rows.append({"document": document, "sentence": number, **flags, **row})
    return pd.DataFrame(rows, columns=["document", "sentence", *OF_SENTENCES, *columns])


def types_in(table: pd.DataFrame) -> list[str]:
    """The types that a table of counts tells apart."""
    found = [c for c in table.columns if c.startswith("type.") and c.endswith(".gold")]
    return [column.removeprefix("type.").removesuffix(".gold") for column in found]


def by_document(table: pd.DataFrame) -> dict[str, np.ndarray]:
    """For all entities ("all"), each type and each slice of the table, the counts in each document.

    Returns:
        by name [documents, 3] int64: correct, predicted, gold. Where recall is the score of a
        slice, gold stands for predicted too, so that `f1` is recall.
    """
    _, number = np.unique(table["document"], return_inverse=True)

    def total(groups: Sequence[str], within: str | None = None) -> np.ndarray:
        counts = sum(table[[f"{g}.{what}" for what in COUNTS]].to_numpy(np.int64) for g in groups)
        assert isinstance(counts, np.ndarray)
        if within:
            counts = counts * table[[within]].to_numpy(np.int64)
        result = np.zeros((number.max() + 1, 3), np.int64)
        np.add.at(result, number, counts)
        if groups[0] in BY_RECALL:
            result[:, 1] = result[:, 2]
        return result

    types = [f"type.{type_}" for type_ in types_in(table)]
    found = {"all": total(types)}
    found |= {type_.removeprefix("type."): total([type_]) for type_ in types}
    for name in SLICES:
        if f"{name}.gold" in table:
            found[name] = total([name])
        elif name in table:
            found[name] = total(types, name)
    return found


class Score(NamedTuple):
    """The F1 or the recall (`measure`) of all entities, a type or a slice, as a person names it.

    low and high are the ends of its 95 % interval; support is the number of gold entities.
    """

    slice: str
    measure: str
    score: float
    low: float
    high: float
    support: int


def score_slices(table: pd.DataFrame) -> list[Score]:
    """The scores of a table of counts: of all entities, each type and each slice.

    Intervals are by the bootstrap over documents; a single one tells nothing of others.
    """
    groups = by_document(table)
    counts = np.stack(list(groups.values()))  # [groups, documents, 3]
    low, high = interval(bootstrap(counts))
    if counts.shape[1] == 1:
        low, high = np.zeros_like(low), np.ones_like(high)
    totals = counts.sum(axis=1)
    columns = (f1(totals).tolist(), low.tolist(), high.tolist(), totals[:, 2].tolist())
    return [
        Score(SLICES.get(name, name), "recall" if name in BY_RECALL else "F1", *row)
        for name, *row in zip(groups, *columns, strict=True)
    ]
