"""What the pipeline understands of a corpus, as text."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations

from stages.corpus.dialect import count_iob2_entities
from stages.corpus.reading import Corpus
from tagger.corpus.conll import MAX_TOKENS, SPLITS

SHOWN = 10  # of the repairs; all are in a file
MOST_TYPES = 30  # in the table


def summarise(corpus: Corpus) -> str:
    """Sizes, types, scheme and repairs, what was read in an unusual way, and what to beware of."""
    lines = [f"corpus {corpus.name}" + (f" (licence: {corpus.licence})" if corpus.licence else "")]
    lines += corpus.layouts
    first = corpus.splits["train"][0]
    start = zip(first.tokens[:8], first.tags, strict=False)
    lines.append("first sentence: " + "  ".join(f"{token} {tag}" for token, tag in start))
    lines.append(f"tags in {corpus.scheme}" + (", made IOB2" if corpus.scheme != "IOB2" else ""))
    lines += corpus.notes
    for split, violation, tag in corpus.repairs[:SHOWN]:
        where = violation.sentence.location(violation.token)
        token = violation.sentence.tokens[violation.token]
        lines.append(f"  {split}: {where}: {violation.problem} ({token}), read as {tag}")
    if len(corpus.repairs) > SHOWN:
        lines.append(f"  and {len(corpus.repairs) - SHOWN} more")
    counts = {split: count_iob2_entities(sentences) for split, sentences in corpus.splits.items()}
    lines += _sizes(corpus, counts)
    lines += _types(corpus, counts)
    texts = {split: [tuple(s.tokens) for s in corpus.splits[split]] for split in SPLITS}
    for one, other in combinations(SPLITS, 2):
        if n := count_shared(texts[other], texts[one]):
            share = n / len(texts[other])
            lines.append(f"{n} sentences of {other} ({100 * share:.1f} %) also stand in {one}")
    lines += [f"warning: {warning}" for warning in (*corpus.warnings, *_too_long(corpus))]
    return "\n".join(lines)


def count_shared(sentences: Iterable[tuple[str, ...]], others: Iterable[tuple[str, ...]]) -> int:
    """How many sentences are among the others, each as its tokens."""
    known = set(others)
    return sum(sentence in known for sentence in sentences)


def _too_long(corpus: Corpus) -> list[str]:
    """Warnings of sentences that will be read in parts."""
    warnings = []
    for split, sentences in corpus.splits.items():
        if long := [sentence for sentence in sentences if len(sentence.tokens) > MAX_TOKENS]:
            longest = max(long, key=lambda s: len(s.tokens))
            warnings.append(
                f"sentences of {split} with more than {MAX_TOKENS} tokens, which are read in parts "
                f"of at most {MAX_TOKENS}: {len(long):,}; the longest, of "
                f"{len(longest.tokens):,} tokens, is at {longest.location(0)}. Mark where its "
                "sentences end"
            )
    return warnings


def _sizes(corpus: Corpus, counts: Mapping[str, Counter[str]]) -> list[str]:
    rows = [["", "sentences", "tokens", "documents", "entities", "longest sentence"]]
    for split, sentences in corpus.splits.items():
        longest = max(sentences, key=lambda s: len(s.tokens))
        numbers = (
            len(sentences),
            sum(len(s.tokens) for s in sentences),
            len({s.document for s in sentences}),
            counts[split].total(),
        )
        rows.append(
            [
                split,
                *(f"{n:,}" for n in numbers),
                f"{len(longest.tokens):,} tokens: {longest.location(0)}",
            ]
        )
    return _align(rows)


def _types(corpus: Corpus, counts: Mapping[str, Counter[str]]) -> list[str]:
    types = [tag.removeprefix("B-") for tag in corpus.tags if tag.startswith("B-")]
    total = {type_: sum(n[type_] for n in counts.values()) for type_ in types}
    types.sort(key=lambda type_: -total[type_])
    rows = [["type", *SPLITS]]
    rows += [[type_, *(f"{counts[split][type_]:,}" for split in SPLITS)] for type_ in types]
    lines = _align(rows[: MOST_TYPES + 1])
    if len(types) > MOST_TYPES:
        lines.append(f"and {len(types) - MOST_TYPES} more types")
    return lines


def _align(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows as lines: the first and the sixth column to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.ljust(width) if i in (0, 5) else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
