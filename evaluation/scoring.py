"""How well predicted tags agree with gold ones, by entity (seqeval) and by token."""

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import chain, product
from typing import Any

from seqeval.metrics import accuracy_score, classification_report

from tagger.corpus.tags import PREFIXES, is_allowed, parse, transitions

Tags = Sequence[list[str]]  # of the tokens of each sentence


def score(gold: Tags, predicted: Tags) -> dict[str, Any]:
    """Precision, recall and F1 of entities, over all types (micro-averaged) and by type.

    An entity is correct if its type, its first and its last token are. Entities are those that
    conlleval sees: in an invalid sequence of tags, as `O I-PER`, an entity starts where the type
    changes. Scorers that drop such entities instead give other figures (Lignos & Kamyab, Insights
    2020); where there is no invalid transition all agree.

    Args:
        gold: the gold tags of each sentence; at least one sentence, in any scheme
        predicted: the predicted tags of each sentence

    Returns:
        precision, recall, f1 and accuracy (of tokens) as fractions rounded to 4 digits; support
        (the number of gold entities), invalid_transitions (of the predicted tags, in the scheme of
        the gold ones), sentences and tokens as counts; types: for each type that occurs, its
        precision, recall, f1 and support
    """
    report = classification_report(gold, predicted, output_dict=True, zero_division=0)
    micro = report.pop("micro avg")
    types = {name: row for name, row in report.items() if not name.endswith(" avg")}
    scheme = likeliest_scheme(gold, predicted)
    return {
        **_row(micro),
        "accuracy": round(float(accuracy_score(gold, predicted)), 4),
        "invalid_transitions": count_invalid_transitions(predicted, scheme),
        "sentences": len(gold),
        "tokens": sum(map(len, gold)),
        "types": {name: _row(row) for name, row in types.items()},
    }


def _row(report: dict[str, float]) -> dict[str, float | int]:
    scores = {key: round(float(report[key]), 4) for key in ("precision", "recall")}
    return {**scores, "f1": round(float(report["f1-score"]), 4), "support": int(report["support"])}


def likeliest_scheme(gold: Tags, predicted: Tags) -> str:
    """The scheme that the gold tags break least often; of several, the predicted ones least."""
    return min(
        PREFIXES,
        key=lambda scheme: [count_invalid_transitions(tags, scheme) for tags in (gold, predicted)],
    )


def count_invalid_transitions(sentences: Iterable[Sequence[str]], scheme: str) -> int:
    """How many pairs of neighbouring tags a scheme does not allow, with the sentences' ends."""
    pairs = Counter(pair for tags in sentences for pair in transitions(tags))
    return sum(n for (left, right), n in pairs.items() if not is_allowed(left, right, scheme))


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
