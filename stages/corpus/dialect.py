"""The tags of a corpus as its authors write them, read as the tags of `tagger.corpus.tags`.

Read are IOB1, IOB2 and BIOES and their relatives with other letters (BILOU, BMES, BMEWO), with any
of `-_:/.|` between letter and type, with the letter last (`PER-B`), in lower case (`b-per`),
letters without a type (`B`, `I`), and types without a letter (`PER`).
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

from tagger.corpus.conll import Sentence
from tagger.corpus.tags import is_allowed, spans, transitions

LETTERS = {"B": "B", "I": "I", "M": "I", "E": "E", "L": "E", "S": "S", "U": "S", "W": "S"}
FAMILIES = {  # the letters of each, which may all occur
    "BI": "", "BIES": "BIOES", "BILU": "BILOU", "BMES": "BMES", "BMEW": "BMEWO",
}  # fmt: skip
SEPARATORS = "-_:/.|"
BARE_TYPE = "ENTITY"  # of tags that name no type
UNKNOWN = "_"  # of a token that is not annotated, as in the test splits of shared tasks
LARGEST_SHARE = 0.01  # of entities that may break the scheme, and be repaired


@dataclass(frozen=True)
class Dialect:
    """How the tags of a corpus are written.

    tags: each of them as a tag of `tagger.corpus.tags`
    note: what of it is unusual, as a message says it; empty for tags like B-PER
    """

    tags: Mapping[str, str]
    note: str


@dataclass(frozen=True)
class Violation:
    """A place where a scheme does not allow a tag after the one before it.

    The token is the one with the tag, or the last one, if its tag may not end a sentence.
    """

    sentence: Sentence
    token: int
    problem: str


def read_dialect(counts: Mapping[str, int]) -> Dialect:
    """Find out how tags are written.

    Args:
        counts: how often each occurs

    Raises:
        UnreadableTagError: one of them fits no reading, or the letters belong to no one family.
    """
    outside = _outside(counts)
    tags = {tag: n for tag, n in counts.items() if tag not in outside}
    notes = [f"{tag} is read as O" for tag in outside - {"O"}]
    if all(tag.upper() in LETTERS for tag in tags):
        found = {tag: (tag.upper(), BARE_TYPE) for tag in tags}
        if tags:
            notes.append(f"letters without a type: the type is called {BARE_TYPE}")
    else:
        best, note = max(
            ((_matches(tags, *reading), note) for reading, note in _READINGS),
            key=lambda item: sum(tags[tag] for tag in item[0]),
        )
        letters = {letter for letter, _ in best.values()}
        # Types without letters can look as if some had one: e-mail, S-Bahn.
        is_scheme = "B" in letters or not letters & {"E", "L"}
        is_likely = is_scheme and 2 * sum(tags[tag] for tag in best) > sum(tags.values())
        if is_likely:
            for tag in tags.keys() - best.keys():
                raise UnreadableTagError(tag)
            found = best
            notes += [note] if note else []
        else:
            _check_bare_types(tags, outside, best)
            found = {tag: ("I", tag) for tag in tags}
            notes.append("types without letters: neighbouring tokens of a type are one entity")
    used = {letter for letter, _ in found.values()}
    family = next((family for family in FAMILIES if used <= set(family)), None)
    if family is None:
        raise UnreadableTagError(
            next(tag for tag in found if found[tag][0] not in "BI"), sorted(used)
        )
    if FAMILIES[family] not in ("", "BIOES"):
        notes.append(f"{FAMILIES[family]} is read as BIOES")
    read = {tag: f"{LETTERS[letter]}-{type_}" for tag, (letter, type_) in found.items()}
    return Dialect(dict.fromkeys(outside, "O") | read, "; ".join(notes))


class UnreadableTagError(ValueError):
    """A tag of a corpus fits no reading."""

    def __init__(self, tag: str, letters: Sequence[str] = ()) -> None:
        self.tag = tag
        mixed = f": the letters {', '.join(letters)} belong to no one scheme" if letters else ""
        super().__init__(
            f"{tag!r} is not a tag{mixed}: expected O, or B-, I-, E- or S- and a type (any but O), "
            "or one of the other ways to write tags that docs/inputs.md lists. "
            + (
                "Numbers need their names: convert them, or the file to a table"
                if tag.isdecimal()
                else "Brackets, as OntoNotes has them, must be converted"
                if tag.startswith(("(", "*"))
                else "If the tags are in another column, say in which: `tag: 2` in corpus.yaml"
            )
        )


def _outside(counts: Mapping[str, int]) -> set[str]:
    """The tags that stand for no entity."""
    for tag in ("O", "o", UNKNOWN):
        if tag in counts:
            lower_too = tag == "O" and "o" in counts and any(re.match("[bi]-", t) for t in counts)
            return {tag, "o"} if lower_too else {tag}
    return {"O"} & counts.keys()


def _matches(
    tags: Iterable[str], separator: str, flags: int, is_last: bool
) -> dict[str, tuple[str, str]]:
    """The letter and the type of each tag that is written in some way."""
    letter, between = f"(?P<letter>[{''.join(LETTERS)}])", re.escape(separator)
    parts = ("(?P<type>.+)", between, letter) if is_last else (letter, between, "(?P<type>.+)")
    pattern = re.compile("".join(parts), flags)
    found = {}
    for tag in tags:
        match = pattern.fullmatch(tag)
        if match and match["type"] != "O":
            found[tag] = (match["letter"].upper(), match["type"])
    return found


_READINGS = [
    ((separator, flags, is_last), "; ".join(filter(None, [
        f"written like {'PER' + separator + 'B' if is_last else 'B' + separator + 'PER'}"
        if is_last or separator != "-" else "",
        "some letters are in lower case" if flags else "",
    ])))
    for is_last in (False, True)
    for flags in (re.NOFLAG, re.IGNORECASE)
    for separator in SEPARATORS
]  # fmt: skip


def _check_bare_types(
    tags: Mapping[str, int], outside: set[str], lettered: Mapping[str, tuple[str, str]]
) -> None:
    """Refuse what could be types without letters, but could as well be something else.

    Raises:
        UnreadableTagError: no tag stands for no entity, or one looks like a letter with a type.
    """
    if not outside:
        raise UnreadableTagError(max(tags, key=lambda tag: tags[tag]))
    is_split = {"B", "I"} <= {letter for letter, _ in lettered.values()}
    for tag in tags:
        looks_prefixed = (
            (is_split and tag in lettered)
            or re.match(r"(B|I|BEG|BEGIN|IN|INSIDE)[^\w]", tag)
            or re.search(r"[^\w:/.|-](B|I|BEG|BEGIN|IN|INSIDE)[^\w]?$|\[\d+\]$|=", tag)
        )
        if tag in LETTERS or looks_prefixed or tag.endswith("-") or tag[:1] in "-_":
            # Of tags that are written in two ways, those without letters are the odd ones.
            others = (tags.keys() - lettered.keys() if is_split else None) or {tag}
            raise UnreadableTagError(max(sorted(others), key=lambda tag: tags[tag]))


def find_violations(sentences: Iterable[Sentence], scheme: str) -> list[Violation]:
    """The places where a scheme is broken."""
    found = []
    for sentence in sentences:
        tags = sentence.tags
        for i, (left, right) in enumerate(transitions(tags)):
            if not is_allowed(left, right, scheme):
                # Characters that cannot be seen would make two different tags look alike.
                left, right = (t if t.isprintable() else repr(t) for t in (left, right))
                if i == 0:
                    problem = f"{right} at the start of a sentence"
                elif i == len(tags):
                    problem = f"{left} at the end of a sentence"
                else:
                    problem = f"{right} after {left}"
                found.append(Violation(sentence, min(i, len(tags) - 1), problem))
    return found


def count_entities(sentences: Iterable[Sentence]) -> Counter[str]:
    """How many entities of each type there are, in tags of any scheme as conlleval reads them."""
    return Counter(span.type for sentence in sentences for span in spans(sentence.tags))


def count_tags(sentences: Iterable[Sentence]) -> Counter[str]:
    """How often each tag occurs."""
    return Counter(chain.from_iterable(sentence.tags for sentence in sentences))


def count_iob2_entities(sentences: Iterable[Sentence]) -> Counter[str]:
    """How many entities of each type there are, in tags in IOB2, each of which begins with B-."""
    counts = count_tags(sentences).items()
    return Counter({tag[2:]: n for tag, n in counts if tag.startswith("B-")})
