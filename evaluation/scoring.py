"""How well predicted tags agree with gold ones, by entity (seqeval) and by token."""

from collections import Counter
from collections.abc import Sequence
from itertools import chain, product
from typing import Any

import numpy as np
from seqeval.metrics import accuracy_score
from seqeval.metrics.sequence_labeling import precision_recall_fscore_support

from tagger.corpus.tags import PREFIXES, count_invalid_transitions, parse, to_iob2

Tags = Sequence[list[str]]  # of the tokens of each sentence


def score(gold: Tags, predicted: Tags) -> dict[str, Any]:
    """Precision, recall and F1 of entities, over all types (micro-averaged) and by type.

    An entity is correct if its type, its first and its last token are. Entities are those that
    conlleval sees: where a sequence of tags is invalid in its scheme, as `O I-PER` is in IOB2, an
    entity starts where the type changes. A scorer that reads all tags strictly as one scheme may
    give other figures (Lignos & Kamyab, Insights 2020), unless all of them are valid in it.

    Args:
        gold: the gold tags of each sentence; at least one sentence, in any scheme
        predicted: the predicted tags of each sentence, in the same scheme or in another

    Returns:
        precision, recall, f1 and accuracy (of the tags of tokens, which are compared in IOB2 if
        the schemes differ) as fractions rounded to 4 digits; support (the number of gold entities),
        invalid_transitions (of the predicted tags, in the scheme of the gold ones), sentences and
        tokens as counts; types: for each type that occurs, its precision, recall, f1 and support
    """
    scheme = likeliest_scheme(gold, predicted)
    if _is_in_another_scheme(predicted, gold, scheme):
        accuracy = accuracy_score(list(map(to_iob2, gold)), list(map(to_iob2, predicted)))
    else:
        accuracy = accuracy_score(gold, predicted)
    names = sorted({parse(tag)[1] for tag in chain(*gold, *predicted)} - {""})
    by_type, micro = (
        np.reshape(
            precision_recall_fscore_support(gold, predicted, average=average, zero_division=0),
            (4, -1),
        ).T
        for average in (None, "micro")
    )
    return {
        **_row(micro[0]),
        "accuracy": round(float(accuracy), 4),
        "invalid_transitions": count_invalid_transitions(predicted)[scheme],
        "sentences": len(gold),
        "tokens": sum(map(len, gold)),
        # Not seqeval's report, in which the averages stand among the types: one may be called so.
        "types": {name: _row(row) for name, row in zip(names, by_type, strict=True)},
    }


def _row(scores: np.ndarray) -> dict[str, float | int]:
    """Precision, recall, F1 and support, from the four of them."""
    keys = ("precision", "recall", "f1")
    fractions = {key: round(float(score), 4) for key, score in zip(keys, scores, strict=False)}
    return {**fractions, "support": int(scores[3])}


def likeliest_scheme(tags: Tags, others: Tags) -> str:
    """The scheme that `tags` break least often; of several, the one that `others` break least."""
    counts = [count_invalid_transitions(side) for side in (tags, others)]
    return min(PREFIXES, key=lambda scheme: [of_side[scheme] for of_side in counts])


def _is_in_another_scheme(predicted: Tags, gold: Tags, scheme: str) -> bool:
    """Whether predicted tags are in another scheme than gold ones, rather than merely invalid.

    So they are if they have other prefixes, or if the other scheme allows all of them.
    """
    other = likeliest_scheme(predicted, gold)
    has_other_prefixes = PREFIXES[other] != PREFIXES[scheme]
    is_valid = count_invalid_transitions(predicted)[other] == 0
    return other != scheme and (has_other_prefixes or is_valid)


def count_confusions(
    gold: Tags, predicted: Tags, types: Sequence[str]
) -> list[tuple[str, str, int]]:
    """Count the tokens of each gold type that have each predicted type, `O` standing for no entity.

    Returns:
        gold type, predicted type and the number of tokens, for all pairs of `O` and the types
    """

    def flat(tags: Tags) -> list[str]:
        return [parse(tag)[1] or "O" for tag in chain.from_iterable(tags)]

    counts = Counter(zip(flat(gold), flat(predicted), strict=True))
    return [(a, b, counts[a, b]) for a, b in product(("O", *types), repeat=2)]
