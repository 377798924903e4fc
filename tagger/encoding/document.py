"""What the document of a token tells that its sentence does not, as far as it needs no vectors."""

from collections.abc import Sequence

import numpy as np

# How a word is written, as it tells whether the word is a name. CAPITALISED + 1 stands for a
# capitalised word where any word would be capitalised, CAPITALS + 1 for one in capitals in a
# sentence that is not in capitals.
LOWER, CAPITALISED, CAPITALS, OTHERWISE = 0, 1, 3, 5
CASINGS = 6
CASING_SIZE = CASINGS + 1


def casing_in_document(sentences: Sequence[Sequence[str]], documents: Sequence[int]) -> np.ndarray:
    """How the word of each token is written elsewhere in its document.

    A name at the start of a sentence or in a headline is recognised by its mentions elsewhere
    (Chieu & Ng, CoNLL 2003). Two tokens are the same word if they are equal in lower case.

    Args:
        sentences: the tokens of each sentence
        documents: the number of each sentence's document

    Returns:
        [tokens, CASING_SIZE] bool. The first CASINGS values tell whether another token of the
        document is the same word in lower case; capitalised inside a sentence; capitalised at the
        start of a sentence or in a sentence in capitals; in capitals in a sentence in capitals; in
        capitals in another sentence; or written otherwise. The last value tells whether the token's
        own sentence is in capitals.
    """
    token_types, tokens, words = _words_in_documents(sentences, documents)
    lengths = [len(sentence) for sentence in sentences]
    in_capitals = np.repeat([is_in_capitals(sentence) for sentence in sentences], lengths)
    is_first = np.zeros(len(tokens), dtype=bool)
    is_first[np.cumsum([0, *lengths[:-1]])] = True
    casings = np.array([_casing(token) for token in token_types])[tokens]
    casings += (casings == CAPITALISED) & (is_first | in_capitals)
    casings += (casings == CAPITALS) & ~in_capitals
    counts = np.bincount(words * CASINGS + casings, minlength=(words.max() + 1) * CASINGS)
    is_own = np.arange(CASINGS) == casings[:, None]
    is_elsewhere = counts.reshape(-1, CASINGS)[words] > is_own
    return np.column_stack((is_elsewhere, in_capitals))


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


def mention_ids(sentences: Sequence[Sequence[str]], documents: Sequence[int]) -> np.ndarray:
    """The number of the name that each token mentions, 0 for none, [tokens] int32.

    A token with a capital letter mentions a name. Tokens of one document mention the same name if
    they are equal in lower case.
    """
    token_types, tokens, words = _words_in_documents(sentences, documents)
    is_name = np.array([any(map(str.isupper, token)) for token in token_types])
    return np.where(is_name[tokens], words + 1, 0).astype(np.int32)


def _words_in_documents(
    sentences: Sequence[Sequence[str]], documents: Sequence[int]
) -> tuple[list[str], np.ndarray, np.ndarray]:
    """Tokens as numbers.

    Returns:
        the token types (distinct tokens); the token type of each token, [tokens]; and a number for
        each token which it shares with the tokens of its document that are equal in lower case,
        [tokens]
    """
    token_types: dict[str, int] = {}
    words: dict[tuple[int, str], int] = {}
    lowered: list[str] = []  # by token type
    tokens, numbers = [], []
    for sentence, document in zip(sentences, documents, strict=True):
        for token in sentence:
            type_ = token_types.setdefault(token, len(token_types))
            if type_ == len(lowered):
                lowered.append(token.lower())
            tokens.append(type_)
            numbers.append(words.setdefault((document, lowered[type_]), len(words)))
    return list(token_types), np.array(tokens), np.array(numbers)
