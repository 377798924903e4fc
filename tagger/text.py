"""From raw text to sentences of tokens: where each begins and ends.

The rules are those of the corpus that the tagger is trained on, CoNLL-2003, since a tagger knows
only what its training data looked like. They need Python's standard library alone.

Tokens. White space ends a token. So does punctuation, each character of which is a token itself,
with these exceptions:

* A word keeps hyphens, full stops and apostrophes between its letters: `all-rounder`, `U.S.-led`,
  `O'Brien`, `example.com`, `someone@example.com`, and a hyphen at its end: `two- and three-year`.
  A web address that begins with http or www is one token, as are `#tag` and `@name`.
* `'s`, `'m`, `'re`, `'ve`, `'ll`, `'d` and `n't` are tokens: `Ann 's`, `do n't`.
* A number keeps commas, colons, slashes and dashes between its digits: `1,000.5`, `12:30`, `3/4`,
  `1-0`. Other slashes are tokens: `and / or`. A minus or a currency before it is a token (`$ 5m`,
  `US$ 5`, `- 3`), a plus is not (`+3`).
* The full stop of an abbreviation stays with it: `Mr.`, `J.`, `U.S.`, `Inc.`; so does that of a
  number or letter that begins a sentence, as in a list: `1.`. The full stop that ends a sentence is
  a token, but for that of an acronym with full stops inside (`the U.S.`), which has no other.
* Two or more full stops, hyphens or asterisks in a row are one token, as are three or more of any
  other punctuation. Emoji and other symbols that follow one another are one token.
* Characters that show nothing (control characters, byte order mark, zero-width space, marks of
  the direction of writing) are left out like blanks, so that they make no word unknown. Joiners
  inside words and emoji stay.

Scripts written without blanks, as Chinese, are not split into words, which the vectors of an
English tagger do not have: what stands between two punctuation marks is one token.

Sentences. One ends at a full stop, question or exclamation mark, with the quotes and brackets that
close after it, if a blank follows. After an abbreviation it goes on, unless the next word is one
that often begins a sentence (`in Boston, Mass. The ...`). It goes on where a lower-case letter
follows `?`, `!`, `...` or a closing quote (`"Why?" he asked`).
"""

import re
from collections.abc import Iterator

from tagger.corpus.conll import MAX_TOKENS

VERSION = 1  # of the rules, to be raised when they change: a tagger's scores hold for its own

Span = tuple[int, int]


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


# Abbreviations after which a sentence goes on: any, and those with a capital alone.
_GOES_ON = _set("approx cf e.g i.e v viz vs")
_TITLES = _set(
    "Adm Brig Capt Cmdr Col Cpl Det Dr Fr Gen Gov Hon Lt Maj Messrs Mlle Mme Mr Mrs Ms Mt Pres "
    "Prof Pte Pvt Rep Rev Sen Sgt St Ste Supt"
)
# Abbreviations after which it goes on where a digit follows.
_NUMBERED = _set(
    "apr art aug ch dec ext feb fig figs jan jul jun mar no nos nov oct p par pp sec sep sept tel "
    "vol vols"
)
# Abbreviations after which it may go on: any, and those with a capital alone, which else are words.
_ABBREVIATIONS = _set(
    "al assn ave bhd bldg blvd bros cia cie co corp cos dept dist div est esq etc ft govt inc incl "
    "intl jr lb lbs ltd mfg natl oz plc pty rd sq sr univ"
)
_CAPITALISED = _set(
    "Apr Aug Dec Feb Jan Jul Jun Mar Nov Oct Sep Sept Mon Tue Wed Thu Fri Sat Sun "
    "Ala Ariz Ark Calif Colo Conn Del Fla Ga Ill Ind Kan Ky La Mass Md Mich Minn Miss Mo Mont Neb "
    "Nev Okla Ont Ore Pa Penn Tenn Tex Va Vt Wash Wis Wyo"
)
# Words that, with a capital, begin a sentence far more often than a name.
_BEGINNERS = _set(
    "a according after all also although among an and another any as at because before both but by "
    "despite during each even every few following for from he her here his how however i if in it "
    "its last many meanwhile more most my neither no not now of on once one only or other others "
    "our since so some that the their then there these they this those though to today two "
    "under until we what when where whether which while who why with yesterday yet you your"
)


def split_text(text: str, *, wrapped: bool = False) -> list[list[Span]]:
    """The sentences of a text, each a list of its tokens.

    By default a line break ends a sentence: a line is a paragraph, a headline or a row of a table,
    as in most text that people type, export or copy from a page. In text that was wrapped to a
    width, as in e-mail and old text files, a sentence goes on in the next line, and an empty line
    ends it.

    A sentence of more than `MAX_TOKENS` tokens is cut after the last comma, semicolon or colon
    among the last quarter of what it may hold; if there is none, after `MAX_TOKENS`.

    Args:
        text: any string
        wrapped: whether a single line break is a blank

    Returns:
        for each sentence its tokens as (start, end) in Unicode code points: `text[start:end]`.
        A sentence has one token at least. Tokens are in order and do not overlap. What stands
        between them is white space, or shows nothing (see above).
    """
    sentences = []
    for start, end in split_sentences(text, wrapped=wrapped):
        tokens = split_words(text, start, end)
        first = 0
        while len(tokens) - first > MAX_TOKENS:
            cut = full = first + MAX_TOKENS
            while text[tokens[cut - 1][0]] not in ",;:":
                cut -= 1
                if full - cut == MAX_TOKENS // 4:
                    cut = full
                    break
            sentences.append(tokens[first:cut])
            first = cut
        sentences.append(tokens[first:])
    return sentences


def split_sentences(text: str, *, wrapped: bool = False) -> Iterator[Span]:
    """Where each sentence of a text begins and ends, see `split_text`. None is cut for its length.

    No sentence begins or ends with a blank, and none is empty.
    """
    start = 0
    for match in (_END_IN_WRAPPED if wrapped else _END).finditer(text):
        if match["stop"] is None or _ends_sentence(text, start, match):
            yield from _strip(text, start, match.end())
            start = match.end()
    yield from _strip(text, start, len(text))


def split_words(text: str, start: int, end: int) -> list[Span]:
    """Where each token of a sentence begins and ends, in code points from the start of `text`.

    Args:
        text: a text
        start: where the sentence begins in it
        end: where it ends; the character before is not a blank
    """
    return [match.span() for match in _TOKEN.finditer(text, start, end)]


def _strip(text: str, start: int, end: int) -> Iterator[Span]:
    """The span without the blanks around it, unless nothing is left."""
    piece = text[start:end].rstrip(_BLANKS)
    if kept := piece.lstrip(_BLANKS):
        yield start + len(piece) - len(kept), start + len(piece)


def _ends_sentence(text: str, start: int, match: re.Match[str]) -> bool:
    """Whether a sentence that began at `start` ends at what may be its end, a match of `_END`."""
    following = _NEXT.match(text, match.end())
    if following is None:  # the text ends
        return True
    word = following["word"]
    if word[0].islower() and (match["stop"] != "." or match["closers"]):
        return False
    if match["stop"] != "." or _QUOTE.search(match["closers"]):
        return True
    # A slice, since a word may be long. No abbreviation has as many letters.
    before = text[max(start, match.start() - 16) : match.start()]
    last = _LAST_WORD.search(before)
    if last is None:  # as where a blank stands before the full stop
        return True
    is_first = not before[: last.start()].strip(_BLANKS)
    if is_first and _LIST_NUMBER.fullmatch(last[0]):
        return False
    return not _goes_on(last[0], word)


def _goes_on(last: str, following: str) -> bool:
    """Whether a sentence goes on after a word, a full stop and a blank.

    Args:
        last: the word before the full stop
        following: the word after it, with a hyphen or full stop at its end (`J. A. Smith`), or the
            first character of what else stands there
    """
    folded, capitalised = last.lower(), last[0].isupper() and last.capitalize()
    if folded in _GOES_ON or capitalised in _TITLES:
        return True
    if following[0].isdigit() and folded in _NUMBERED:
        return True
    begins = following[0].isupper() and following.lower() in _BEGINNERS
    return not begins and (
        (len(last) == 1 and last.isupper())
        or _ACRONYM.fullmatch(last) is not None
        or folded in _ABBREVIATIONS
        or capitalised in _CAPITALISED
    )


# Kinds of characters, as the insides of classes of regular expressions.

_LINE = r"\n\r\v\f\x1c-\x1e\x85\u2028\u2029"  # what ends a line, as for `str.splitlines`
# White space, control characters, and what shows nothing and joins nothing: zero-width space,
# byte order mark, marks of the direction of writing.
_SPACE = (
    r"\0-\x09\x0e-\x1b\x1f\x20\x7f-\x84\x86-\xa0\u061c\u1680\u2000-\u200b\u200e\u200f\u202a-\u202f"
    r"\u205f\u2066-\u2069\u3000\ufeff"
)
_BLANK = _LINE + _SPACE
_SYMBOL = (
    r"\xa6\xa9\xac\xae\xb0\xb1\xd7\xf7\u2120\u2122\u2190-\u2bff\ufffc\ufffd\U0001f000-\U0001ffff"
)
_PUNCTUATION = (
    r"!\"$%'()*,\-./:;<>?\[\\\]^`{|}~\xa1-\xa5\xa7\xa8\xab\xaf\xb4\xb6\xb8\xbb\xbf"
    r"\u055a-\u055f\u0589\u060c\u061b\u061e\u061f\u06d4\u0964\u0965\u104a\u104b\u1361-\u1368"
    r"\u2010-\u2027\u2030-\u205e\u20a0-\u20cf\u2e00-\u2e7f\u3001-\u3003\u3008-\u3020\u3030"
    r"\ufe10-\ufe19\ufe30-\ufe52\ufe54-\ufe6b\uff01-\uff0f\uff1a-\uff20\uff3b-\uff40\uff5b-\uff65"
    r"\uffe0-\uffee"
)
_LETTER = rf"[^{_BLANK}{_SYMBOL}{_PUNCTUATION}]"  # and digits, marks, joiners, and all else
# What follows a character and must stay with it: marks, joiners, unknown and private characters.
_MARK = rf"[^{_BLANK}{_SYMBOL}{_PUNCTUATION}\w\0-\u02ff]"
_QUOTE = re.compile("[\"'”’»›]")
_STOP = r".!?…‽؟۔।॥։።"
_WIDE_STOP = "。．！？｡"  # of scripts that set no blank after it
_CLOSER = r"\"'”’»›)\]}」』）】"
_OPENER = r"\"'“‘„‚«‹(\[{「『（【¿¡\-–—•*"
_HYPHEN = r"\-\u2010\u2011"
_APOSTROPHE = "'’"

# Unbounded quantifiers are possessive (`++`, `*+`) wherever a match could fail after them, and what
# one alternative reads in vain, another consumes: so the time grows with the length of any text.
# Only single characters are repeated so: of groups Python up to 3.11.4 takes wrong matches
# (python/cpython#106052).

_ENDS = rf"""
    (?P<stop>
        (?<! [{_STOP}]) [{_STOP}]++ (?= [{_CLOSER}]{{0,4}} [{_BLANK}])
    |   (?<! [{_WIDE_STOP}]) [{_WIDE_STOP}]++
        (?= [{_CLOSER}]{{0,4}} (?: \w | [\0-\u02ff{_PUNCTUATION}] | \Z))
    )
    (?P<closers> [{_CLOSER}]{{0,4}})
"""
_END = re.compile(rf"(?x) {_ENDS} | [{_LINE}]++")
_END_IN_WRAPPED = re.compile(
    rf"(?x) {_ENDS} | (?: (?: \r\n | (?! \r\n) [{_LINE}]) [{_SPACE}]*+ ){{2,}}"
)
_BLANKS = "".join(filter(re.compile(f"[{_BLANK}]").match, map(chr, range(0x10000))))
_NEXT = re.compile(
    rf"(?x) [{_BLANK}]*+ [{_OPENER}]{{0,4}}+ [{_BLANK}]*+"
    rf"(?P<word> [^\W\d_]{{1,20}}+ [-.]? | [^{_BLANK}] )"
)
_LAST_WORD = re.compile(r"\w[\w.]*\Z")
_LIST_NUMBER = re.compile(r"\d{1,3}|[A-Za-z]|[IVXivx]{1,5}")
_ACRONYM = re.compile(r"(?:[^\W\d_]\.)+[^\W\d_]|Ph\.D|[BM]\.Sc")

_CLITIC_ENDS = rf"(?! {_LETTER})"
_WORD = rf"""
    {_LETTER}++
    (?:
        (?: \.?[{_HYPHEN}] | \. | [{_APOSTROPHE}] (?! (?i:s|m|re|ve|ll|d) {_CLITIC_ENDS})
        |   (?<=\d) (?: [,:–] | (?<!\.\d) (?<!\.\d\d) /) (?=\d)
        )
        {_LETTER}++
    )*
"""
_TOKEN = re.compile(rf"""(?x)
    [A-Za-z]++ (?= [ ,])                                  # most tokens: only to save time
|   (?i: https?:// | www\.) [^{_BLANK}<>"“”]*[^{_BLANK}<>"“”.,;:!?…'’)\]]
|   (?= [A-Za-z]++ [{_APOSTROPHE}]) [A-Za-z]+? (?= (?i: n[{_APOSTROPHE}]t) {_CLITIC_ENDS})
|   (?i: n[{_APOSTROPHE}]t) {_CLITIC_ENDS}
|   [A-Z]{{1,3}}\${_MARK}*+
|   {_WORD}
    (?:
        \. (?= [{_BLANK},;:] | [{_APOSTROPHE}] [Ss] {_CLITIC_ENDS})
    |   (?<= \.[^\W\d_]) \. (?!\.) (?! {_LETTER})        # of an acronym
    |   [{_HYPHEN}] (?= [{_BLANK},)] | \Z)
    )?
|   [{_APOSTROPHE}] (?i:s|m|re|ve|ll|d) {_CLITIC_ENDS}
|   \. (?=\d) {_WORD}
|   (?: \.{{2,}}+ | -{{2,}}+ | \*{{2,}}+ ) {_MARK}*+
|   [{_SYMBOL}] (?: [{_SYMBOL}] | {_MARK} )*
|   ([^{_BLANK}]) (?: \1{{2,}})? {_MARK}*+
""")  # fmt: skip
