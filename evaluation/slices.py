"""Which entities each sentence has, which were found and which missed, by type and by slice.

A slice is a part of the entities, such as those that do not occur in train, that is scored by
itself. The counts by sentence, metrics/sentences.csv, hold no word of the corpus, and yet all that
is needed to score a tagger and to compare two taggers sentence by sentence.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
import pandas as pd

from evaluation.significance import bootstrap, f1, interval
from tagger.corpus.tags import Span, spans

COUNTS = ("correct", "predicted", "gold")


class Train(NamedTuple):
    """What occurs in train: entities, each as its tokens and its type, and sentences as tokens."""

    entities: frozenset[tuple[tuple[str, ...], str]]
    sentences: frozenset[tuple[str, ...]]

    @classmethod
    def of(cls, sentences: Iterable[Sequence[str]], tags: Iterable[Sequence[str]]) -> "Train":
        """Collect them from the tokens and the tags of each sentence."""
        entities: set[tuple[tuple[str, ...], str]] = set()
        distinct: set[tuple[str, ...]] = set()
        for tokens, of_tokens in zip(sentences, tags, strict=True):
            distinct.add(tuple(tokens))
            entities.update((tuple(tokens[s.start : s.end]), s.type) for s in spans(of_tokens))
        return cls(frozenset(entities), frozenset(distinct))


def is_in_capitals(tokens: Sequence[str]) -> bool:
    """Whether a sentence has letters, and none in lower case."""
    return " ".join(tokens).isupper()


@dataclass(frozen=True)
class Slice:
    """A part of the entities that is scored by itself.

    name: as metrics.json and the columns of sentences.csv have it
    label: as a person reads it
    level: what is in the slice or not: each entity, or each sentence with all of its entities
    measure: its score. Where it is recall, precision would mean nothing: a tagger does not choose
        what it predicts by whether train has it, so what it predicts wrongly belongs to no slice.
    contains: whether an entity or a sentence is in the slice, called with its tokens, its type
        (empty for a sentence) and train
    needs_train: whether `contains` asks for what is in train
    """

    name: str
    label: str
    level: Literal["entity", "sentence"]
    measure: Literal["F1", "recall"]
    contains: Callable[[tuple[str, ...], str, Train], bool]
    needs_train: bool = False


SLICES = {
    slice_.name: slice_
    for slice_ in (
        Slice(
            "seen_entities", "entities seen in train", "entity", "recall",
            lambda tokens, type_, train: (tokens, type_) in train.entities, needs_train=True,
        ),
        Slice(
            "unseen_entities", "entities unseen in train", "entity", "recall",
            lambda tokens, type_, train: (tokens, type_) not in train.entities, needs_train=True,
        ),
        Slice(
            "new_sentences", "sentences that are not in train", "sentence", "F1",
            lambda tokens, type_, train: tokens not in train.sentences, needs_train=True,
        ),
        Slice(
            "sentences_in_capitals", "sentences in capitals", "sentence", "F1",
            lambda tokens, type_, train: is_in_capitals(tokens),
        ),
        Slice(
            "length_1", "entities of 1 token", "entity", "F1",
            lambda tokens, type_, train: len(tokens) == 1,
        ),
        Slice(
            "length_2", "entities of 2 tokens", "entity", "F1",
            lambda tokens, type_, train: len(tokens) == 2,
        ),
        Slice(
            "length_3_or_more", "entities of 3 tokens or more", "entity", "F1",
            lambda tokens, type_, train: len(tokens) >= 3,
        ),
    )
}  # fmt: skip


def slices_of_sentence(tokens: Sequence[str], train: Train | None) -> list[str]:
    """The names of the slices of sentences that a sentence is in.

    Without train, here and below, the slices that need it are left out.
    """
    return _slices_with("sentence", tuple(tokens), "", train)


def slices_of_entity(tokens: Sequence[str], entity: Span, train: Train | None) -> list[str]:
    """The names of the slices of entities that an entity of a sentence is in."""
    own = tuple(tokens[entity.start : entity.end])
    return _slices_with("entity", own, entity.type, train)


def _slices_with(level: str, tokens: tuple[str, ...], type_: str, train: Train | None) -> list[str]:
    known = train or Train(frozenset(), frozenset())
    return [
        name
        for name in _slice_names(level, train)
        if SLICES[name].contains(tokens, type_, known)
    ]  # fmt: skip


def _slice_names(level: str, train: Train | None) -> list[str]:
    """The names of the slices of a level; without train, of those that do not need it."""
    return [
        slice_.name
        for slice_ in SLICES.values()
        if slice_.level == level and not (slice_.needs_train and train is None)
    ]


def count_entities(
    sentences: Iterable[Sequence[str]],
    documents: Iterable[int],
    gold: Iterable[Sequence[str]],
    predicted: Iterable[Sequence[str]],
    types: Sequence[str],
    train: Train | None,
) -> pd.DataFrame:
    """Count the entities of each sentence, by type and by slice.

    Args:
        sentences: the tokens of each
        documents: the number of the document that each sentence is in
        gold: the gold tags of each sentence
        predicted: its predicted tags
        types: all types that occur in the tags, in the order of the columns
        train: what occurs in train, or None if it is not known

    Returns:
        a row a sentence. Columns: document; sentence, its number from 0; for each slice of
        sentences its name, 1 if the sentence is in it and 0 otherwise; then `type.TYPE.COUNT` for
        each type and `SLICE.COUNT` for each slice of entities, where COUNT is `correct` (entities
        that gold and predicted tags mark alike), `predicted` or `gold`. A type may be called
        anything: its columns alone begin with `type.`, and what follows the last dot is the count.
    """
    of_sentences = _slice_names("sentence", train)
    of_entities = _slice_names("entity", train)
    groups = [*(f"type.{type_}" for type_ in types), *of_entities]
    columns = [f"{group}.{what}" for group in groups for what in COUNTS]
    rows = []
    for number, (tokens, document, expected, found) in enumerate(
        zip(sentences, documents, gold, predicted, strict=True)
    ):
        inside = slices_of_sentence(tokens, train)
        row = dict.fromkeys(columns, 0)
        entities = {"gold": set(spans(expected)), "predicted": set(spans(found))}
        entities["correct"] = entities["gold"] & entities["predicted"]
        for what, counted in entities.items():
            for entity in counted:
                for group in (*slices_of_entity(tokens, entity, train), f"type.{entity.type}"):
                    row[f"{group}.{what}"] += 1
        flags = {name: int(name in inside) for name in of_sentences}
        rows.append({"document": document, "sentence": number, **flags, **row})
    return pd.DataFrame(rows, columns=["document", "sentence", *of_sentences, *columns])


def types_in(table: pd.DataFrame) -> list[str]:
    """The types of entities that a table of `count_entities` has columns for."""
    found = [c for c in table.columns if c.startswith("type.") and c.endswith(".gold")]
    return [column.removeprefix("type.").removesuffix(".gold") for column in found]


class Group(NamedTuple):
    """Entities that have a score: all of them, those of a type, or those of a slice.

    The level keeps them apart, since a type may be called `all`, or like a slice.
    """

    level: Literal["all", "type", "slice"]
    name: str


ALL = Group("all", "all")


def by_document(table: pd.DataFrame) -> dict[Group, np.ndarray]:
    """Sum a table of `count_entities` over the sentences of each document.

    Returns:
        for ALL, each type and each slice that the table has, in this order: [documents, 3] int64:
        correct, predicted, gold. For a slice whose measure is recall `predicted` is `gold` again,
        so that `f1` of the counts is the recall.
    """
    _, number = np.unique(table["document"], return_inverse=True)

    def total(prefixes: Sequence[str], within: str | None = None) -> np.ndarray:
        counts = np.zeros((len(table), 3), np.int64)
        for prefix in prefixes:
            counts += table[[f"{prefix}.{what}" for what in COUNTS]].to_numpy(np.int64)
        if within:
            counts *= table[[within]].to_numpy(np.int64)
        result = np.zeros((number.max() + 1, 3), np.int64)
        np.add.at(result, number, counts)
        return result

    types = types_in(table)
    prefixes = [f"type.{type_}" for type_ in types]
    found = {ALL: total(prefixes)}
    found |= {Group("type", type_): total([f"type.{type_}"]) for type_ in types}
    for slice_ in SLICES.values():
        if slice_.level == "entity" and f"{slice_.name}.gold" in table:
            counts = total([slice_.name])
        elif slice_.level == "sentence" and slice_.name in table:
            counts = total(prefixes, within=slice_.name)
        else:
            continue
        if slice_.measure == "recall":
            counts[:, 1] = counts[:, 2]
        found[Group("slice", slice_.name)] = counts
    return found


class Score(NamedTuple):
    """The score of a group of entities, with its 95 % interval: a row of metrics/intervals.csv.

    level: "all", "type" or "slice", as in `Group`
    slice: "all", the type, or the label of the slice
    measure: "F1" or "recall"
    score, low, high: the score and the ends of its interval, as fractions
    support: the number of gold entities
    """

    level: str
    slice: str
    measure: str
    score: float
    low: float
    high: float
    support: int


def score_slices(table: pd.DataFrame) -> list[Score]:
    """Score all entities, each type and each slice of a table of `count_entities`.

    The intervals are those of a bootstrap over documents. From a single document nothing can be
    said of others, so its intervals are 0 to 1.
    """
    groups = by_document(table)
    counts = np.stack(list(groups.values()))  # [groups, documents, 3]
    low, high = interval(bootstrap(counts))
    if counts.shape[1] == 1:
        low, high = np.zeros_like(low), np.ones_like(high)
    totals = counts.sum(axis=1)
    columns = (f1(totals).tolist(), low.tolist(), high.tolist(), totals[:, 2].tolist())
    rows = []
    for (level, name), *row in zip(groups, *columns, strict=True):
        is_slice = level == "slice"
        label = SLICES[name].label if is_slice else name
        rows.append(Score(level, label, SLICES[name].measure if is_slice else "F1", *row))
    return rows
