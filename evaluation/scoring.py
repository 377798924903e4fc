"""How well predicted tags agree with gold ones, by entity (seqeval) and by token."""

from collections import Counter
from collections.abc import Sequence
from itertools import chain, product
from typing import Any

from seqeval.metrics import accuracy_score, classification_report
from seqeval.scheme import IOB2

from tagger.corpus.tags import is_allowed, parse, transitions

Tags = Sequence[list[str]]  # of the tokens of each sentence


def score(gold: Tags, predicted: Tags) -> dict[str, Any]:
    """Precision, recall and F1 of entities in strict IOB2, over all types (micro) and by type.

    Strict drops entities that an invalid transition opens, where conlleval and seqeval's default
    repair them (Lignos & Kamyab, ACL Insights 2020). `invalid_transitions` counts those of the
    prediction; where it is 0 the three agree.

    Returns:
        precision, recall, f1 and accuracy (of tokens) as fractions rounded to 4 digits; support
        (gold entities), invalid_transitions, sentences and tokens as counts; types: the same
        scores and support for each type
    """
    report = classification_report(
        gold, predicted, mode="strict", scheme=IOB2, output_dict=True, zero_division=0
    )
    micro = report.pop("micro avg")
    types = {name: row for name, row in report.items() if not name.endswith(" avg")}
    invalid = sum(
        not is_allowed(left, right, "IOB2")
        for tags in predicted
        for left, right in transitions(tags)
    )
    return {
        **_row(micro),
        "accuracy": round(float(accuracy_score(gold, predicted)), 4),
        "invalid_transitions": invalid,
        "sentences": len(gold),
        "tokens": sum(map(len, gold)),
        "types": {name: _row(row) for name, row in types.items()},
    }


def _row(report: dict[str, float]) -> dict[str, float | int]:
    scores = {key: round(float(report[key]), 4) for key in ("precision", "recall")}
    return {**scores, "f1": round(float(report["f1-score"]), 4), "support": int(report["support"])}


def count_confusions(
    gold: Tags, predicted: Tags, types: Sequence[str]
) -> list[tuple[str, str, int]]:
    """How many tokens of each gold type got each predicted type, `O` among them, all pairs."""

    def flat(tags: Tags) -> list[str]:
        return [parse(tag)[1] or "O" for tag in chain.from_iterable(tags)]

    counts = Counter(zip(flat(gold), flat(predicted), strict=True))
    return [(a, b, counts[a, b]) for a, b in product(("O", *types), repeat=2)]
