"""What the document of a token tells that its sentence does not, as far as it needs no vectors."""

from collections.abc import Sequence

import numpy as np

# How a word is written, as it tells whether the word is a name. CAPITALISED + 1 stands for a
# capitalised word where any word would be capitalised, CAPITALS + 1 for one in capitals in a
# sentence that is not in capitals.
LOWER, CAPITALISED, CAPITALS, OTHERWISE = 0, 1, 3, 5
CASINGS = 6
CASING_SIZE = CASINGS + 1


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
        documents: the number of each sentence's document, [sentences]

    Returns:
        casing: [tokens, CASING_SIZE] bool. The first CASINGS values tell whether another token of
            the document is the same word in lower case; capitalised inside a sentence; capitalised
            at the start of a sentence or in a sentence in capitals; in capitals in a sentence in
            capitals; in capitals in another sentence; or written otherwise. The last value tells
            whether the token's own sentence is in capitals.
        mention ids: the number of the name that each token mentions, from 1, or 0 where it
            mentions none, or one that its document mentions only there, [tokens] int32
    """
    lengths = np.diff(offsets)
    first = offsets[:-1]
    lowered: dict[str, int] = {}
    lower = np.array([lowered.setdefault(type_.lower(), len(lowered)) for type_ in types])
    # For each token a number which it shares with the same word in its document
    _, words = np.unique(
        documents.astype(np.int64).repeat(lengths) * len(lowered) + lower[tokens],
        return_inverse=True,
    )

    # A sentence is in capitals if it has letters, and none in lower case.
    is_upper = np.array([type_.isupper() for type_ in types])[tokens]
    has_no_lower = np.array([f"{type_}A".isupper() for type_ in types])[tokens]
    in_capitals = (
        np.logical_or.reduceat(is_upper, first) & np.logical_and.reduceat(has_no_lower, first)
    ).repeat(lengths)
    is_first = np.zeros(len(tokens), dtype=bool)
    is_first[first] = True
    casings = np.array([_casing(type_) for type_ in types])[tokens]
    casings += (casings == CAPITALISED) & (is_first | in_capitals)
    casings += (casings == CAPITALS) & ~in_capitals
    counts = np.bincount(words * CASINGS + casings, minlength=(words.max() + 1) * CASINGS)
    is_own = np.arange(CASINGS) == casings[:, None]
    is_elsewhere = counts.reshape(-1, CASINGS)[words] > is_own

    names = np.array([any(map(str.isupper, type_)) for type_ in types])[tokens].nonzero()[0]
    mentions = np.zeros(len(tokens), dtype=np.int32)
    _, numbers, sizes = np.unique(words[names], return_inverse=True, return_counts=True)
    several = sizes > 1
    mentions[names] = np.where(several, several.cumsum(), 0)[numbers]
    return np.column_stack((is_elsewhere, in_capitals)), mentions


def _casing(token: str) -> int:
    """How a token is written, without regard to where it stands."""
    if token.islower():
        return LOWER
    if token.isupper() and len(token) > 1:
        return CAPITALS
    return CAPITALISED if token[:1].isupper() else OTHERWISE


def is_in_capitals(tokens: Sequence[str]) -> bool:
    """Whether a sentence has letters, and none in lower case."""
    return " ".join(tokens).isupper()
