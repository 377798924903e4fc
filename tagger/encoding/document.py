"""What the document of a token tells that its sentence does not, as far as it needs no vectors."""

from collections.abc import Iterator, Sequence

import numpy as np

# How a word is written, as it tells whether the word is a name. CAPITALISED + 1 stands for a
# capitalised word where any word would be capitalised, CAPITALS + 1 for one in capitals in a
# sentence that is not in capitals.
LOWER, CAPITALISED, CAPITALS, OTHERWISE = 0, 1, 3, 5
CASINGS = 6
CASING_SIZE = CASINGS + 1
GROUP = 50_000  # tokens of whole documents that are worked on at a time


def groups(tokens: np.ndarray) -> Iterator[tuple[int, int]]:
    """Documents in groups of GROUP tokens at most, but for longer documents.

    What is computed for all tokens of a group takes an amount of memory that does not grow with
    the number of documents.

    Args:
        tokens: the first token of each document, and the token after the last document

    Yields:
        the first document of a group, and the one after its last
    """
    start = 0
    while start < len(tokens) - 1:
        end = max(start + 1, int(np.searchsorted(tokens, tokens[start] + GROUP, "right")) - 1)
        yield start, end
        start = end


def starts_of_runs(values: np.ndarray) -> np.ndarray:
    """Where each run of equal values starts, then where the last one ends, [runs + 1] int64."""
    changes = (values[1:] != values[:-1]).nonzero()[0] + 1
    return np.concatenate(([0], changes, [len(values)]))


def ranks(values: np.ndarray) -> np.ndarray:
    """The rank of each value among the distinct values, from 0, [values] int64.

    It is the inverse that `np.unique` gives, which takes three times as long for a sentence.
    """
    order = values.argsort()
    ordered = values[order]
    found = np.zeros_like(order)
    found[order[1:]] = (ordered[1:] != ordered[:-1]).cumsum()
    return found


def document_features(
    types: Sequence[str], tokens: np.ndarray, offsets: np.ndarray, documents: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """How the word of each token is written elsewhere in its document, and what name it mentions.

    A name at the start of a sentence or in a headline is recognised by its mentions elsewhere
    (Chieu & Ng, CoNLL 2003). Two tokens are the same word if they are equal in lower case. A token
    with a capital letter mentions a name; tokens of one document that are the same word mention
    the same name.

    Args:
        types: the token types (distinct tokens)
        tokens: the token type of each token, [tokens]
        offsets: sentence i has the tokens offsets[i] to offsets[i + 1], [sentences + 1]
        documents: the number of each sentence's document, from 0 up, [sentences]

    Returns:
        casing: [tokens, CASING_SIZE] bool. The first CASINGS values tell whether another token of
            the document is the same word in lower case; capitalised inside a sentence; capitalised
            at the start of a sentence or in a sentence in capitals; in capitals in a sentence in
            capitals; in capitals in another sentence; or written otherwise. The last value tells
            whether the token's own sentence is in capitals.
        mention ids: the number of the name that each token mentions, from 1, or 0 where it
            mentions none, or one that its document mentions only there, [tokens] int32
    """
    lowered: dict[str, int] = {}
    lower = np.array([lowered.setdefault(type_.lower(), len(lowered)) for type_ in types])
    is_upper = np.array([type_.isupper() for type_ in types])
    has_no_lower = np.array([f"{type_}A".isupper() for type_ in types])
    casing_of_type = np.array([_casing(type_) for type_ in types])
    has_capital = np.array([any(map(str.isupper, type_)) for type_ in types])

    casing = np.empty((len(tokens), CASING_SIZE), dtype=bool)
    mention_ids = np.zeros(len(tokens), dtype=np.int32)
    mentioned = 0  # the number of names so far
    starts = starts_of_runs(documents)
    for start, end in groups(offsets[starts]):
        sentences = slice(starts[start], starts[end])
        chosen = slice(offsets[starts[start]], offsets[starts[end]])
        some = tokens[chosen]
        first = offsets[sentences] - chosen.start
        lengths = offsets[sentences.start + 1 : sentences.stop + 1] - offsets[sentences]
        # For each token a number which it shares with the same word in its document
        words = ranks(
            documents[sentences].astype(np.int64).repeat(lengths) * len(lowered) + lower[some]
        )

        # A sentence is in capitals if it has letters, and none in lower case.
        in_capitals = (
            np.logical_or.reduceat(is_upper[some], first)
            & np.logical_and.reduceat(has_no_lower[some], first)
        ).repeat(lengths)
        is_first = np.zeros(len(some), dtype=bool)
        is_first[first] = True
        casings = casing_of_type[some]
        casings += (casings == CAPITALISED) & (is_first | in_capitals)
        casings += (casings == CAPITALS) & ~in_capitals
        counts = np.bincount(words * CASINGS + casings, minlength=(words.max() + 1) * CASINGS)
        is_own = np.arange(CASINGS) == casings[:, None]
        casing[chosen, :CASINGS] = counts.reshape(-1, CASINGS)[words] > is_own
        casing[chosen, CASINGS] = in_capitals

        names = has_capital[some]
        several = np.bincount(words[names]) > 1
        ids = several * (mentioned + several.cumsum())
        mention_ids[chosen][names] = ids[words[names]]
        mentioned += int(several.sum())
    return casing, mention_ids


def _casing(token: str) -> int:
    """How a token is written, without regard to where it stands."""
    if token.islower():
        return LOWER
    if token.isupper() and len(token) > 1:
        return CAPITALS
    return CAPITALISED if token[:1].isupper() else OTHERWISE
