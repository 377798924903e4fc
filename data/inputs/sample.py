"""Make the sample: a small corpus of invented news, and word vectors trained on more of it.

Run as `python data/inputs/sample.py`. It writes corpora/sample/{train,validation,test}.conll and
vectors/sample/vectors.txt beside this file, the same bytes each time. The corpus is hard on
purpose: a surname can also be a place (Jordan), a month (May) or a verb (Cook); the name of a city
means its team in sports and the city elsewhere; headlines are in capitals; and validation and test
have names that do not occur in train, some of them without a vector.
"""

import random
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
SIZES = {"train": 600, "validation": 150, "test": 150}  # sentences
SEEDS = {"train": 1, "validation": 2, "test": 3, "vectors": 4}
VECTOR_SENTENCES = 12_000
DIMENSION = 32
MIN_COUNT = 5  # rarer words get no vector
WINDOW = 3  # words to each side that count as context

# An underscore stands for a space. In each list the names after the first bar do not occur in
# train, and those after the second bar have no vector either.
NAMES = {
    "given": """Anna Bruno Chelsea David Elena Frank Georgia Hassan Irene Jordan Karl Laura Mark
        Nadia Oscar Paris Rose Samuel Victoria Will | Bill Carmen Grant Joy Mason Sofia Tyler Wanda
        | Branislav Ottoline Thandeka Ximena""",
    "surname": """Adler Baker Brook Chase Cook Dalton Ferrer Ford Hill Jordan Keller Lincoln May
        Morgan Novak Osborne Price Reading Santos Underwood Washington Young | Banks Carver Field
        Holland Kent Larsson March Park Pelham Sutton Vance Wells | Abernetti Dzurek Mbekani
        Ostravik Quillfeather""",
    "city": """Austin Bergen Bradford Chelsea Florence Houston Kingston Leeds Lincoln Lyon Milan
        Oxford Paris Port_Alder Porto Reading San_Marco Santos Sydney Victoria Washington York
        | Adelaide Bristol Hamilton Kent Nancy Orlando Port_Kent Preston Salerno Wells
        | Drevnik Marapolo Ustrecht""",
    "country": """Brazil Chile Chad Denmark Egypt Georgia Guinea Holland Jordan Kenya Norway Peru
        Poland Turkey Yemen | Cuba Ghana Iceland Mali Nepal | Belmoria Kestria""",
    "nationality": """Brazilian Chilean Danish Dutch Egyptian Georgian Kenyan Norwegian Polish
        Turkish | Cuban Finnish Ghanaian Nepalese | Belmorian Kestrian""",
    "company": """Adler Apex Chase Dalton Ford Global Keller Lincoln Meridian Morgan Northern Orbit
        Price Santos Summit Target United Victoria | Banks Beacon Carver Crown Delta Pelham
        Pioneer Shell | Fennimax Quorvex Zantrell""",
    "kind": "Airlines Bank Foods Group Holdings Industries Motors Oil Steel Systems",
    "body": """Ministry Council Commission Parliament Police Treasury Senate | Assembly Tribunal""",
    "team": """City Rovers Rangers United Athletic Wanderers | Albion Dynamo""",
    "event": "Open Cup Games Prix League Festival",
    "season": """Summer Winter National Continental Grand | Golden Pacific""",
    "month": "January March April May June August October",
    "day": "Monday Tuesday Wednesday Thursday Friday Saturday Sunday",
    "goods": "cars cotton grain oil ships steel sugar wheat",
    "job": "analyst chairman coach director farmer lawyer minister president spokesman trader",
    "verb": "announced denied expected predicted rejected said warned welcomed",
    "move": "climbed dropped fell gained lost rose slipped",
}

# A slot in braces is filled with the document's own name of that kind, if it has one (see
# `document_names`), or with one drawn for this slot. [TYPE …] marks an entity.
TEMPLATES = {
    "politics": """
        [PER {name}] , {job} of [ORG {company}] , {verb} the plan on {day} .
        The [MISC {nationality}] {job} [PER {name}] {verb} new talks with [LOC {country}] .
        [PER {last}] told reporters in [LOC {city}] that the bill would pass in {month} .
        [PER {last}] will not march with the farmers , a {job} said .
        The [ORG {nationality} {body}] in [LOC {city}] {verb} the price of {goods} .
        " We may cook the books no longer , " said [PER {last}] .
        Talks between [LOC {country}] and [LOC {country2}] will open in [LOC {city}] in {month} .
        In {month} the [ORG {body}] {verb} a grant for {goods} from [LOC {country}] .
        [LOC {country}] {verb} it , and so did the [MISC {nationality}] {job} .
        It may rain in [LOC {city}] on {day} , the radio said .
        Police in [LOC {city}] held a [MISC {nationality}] {job} named [PER {name}] .
        The {job} will mark the day at a park near [LOC {city}] .
        {month} was a hard month for [PER {last}] and for [LOC {country}] .
        Reading the bill took [PER {last}] an hour .
        [PER {last}] {verb} the plan on {day} .
        [LOC {country}] {verb} the plan on {day} .
        [ORG {last_company}] {verb} the plan on {day} .
        [PER {last}] , {n} , was born in [LOC {city}] , [LOC {country}] .
        """,
    "markets": """
        Shares of [ORG {company}] {move} {n} percent in [LOC {city}] on {day} .
        [ORG {last_company}] {move} {n} cents after [PER {name}] {verb} a bid .
        [ORG {company}] {verb} a target of {n} million for {month} .
        [PER {last}] said that [ORG {last_company}] would sell {goods} to [LOC {country}] .
        [MISC {nationality}] {goods} {move} as {goods} from [LOC {country}] {move} .
        The price of {goods} {move} {n} percent in {month} , said a {job} at [ORG {company}] .
        A global summit on {goods} will open in [LOC {city}] .
        Banks in [LOC {city}] {move} , but [ORG {last_company}] {move} .
        [ORG {company}] of [LOC {country}] will chase {goods} in [LOC {country2}] .
        {goods} : [LOC {country}] {n} , [LOC {country2}] {n} , [LOC {city}] {n} .
        [PER {name}] , a {job} at [ORG {last_company}] , {verb} a united front .
        [ORG {last_company}] {move} in {month} , and [LOC {country}] {verb} it .
        [LOC {country}] {move} in {month} , and [PER {last}] {verb} it .
        Analysts in [LOC {city}] {verb} that [PER {last}] would leave [ORG {last_company}] .
        """,
    "sports": """
        [ORG {city}] beat [ORG {city2}] {d} - {d} on {day} .
        [ORG {city} {team}] {d} [ORG {city2}] {d}
        [PER {name}] of [LOC {country}] won the [MISC {season} {event}] in [LOC {city}] .
        [PER {last}] scored for [ORG {city}] before a crowd of {n} in [LOC {city2}] .
        [ORG {city2}] lost at home in [LOC {city2}] and sold [PER {last}] to [ORG {city}] .
        The [MISC {nationality}] coach of [ORG {city} {team}] , [PER {name}] , {verb} it .
        {d} . [PER {name}] ( [LOC {country}] ) {n}
        {d} . [PER {name2}] ( [LOC {country2}] ) {n}
        [LOC {country}] meet [LOC {country2}] in the [MISC {season} {event}] in {month} .
        [PER {last}] lost to [PER {last2}] on {day} .
        [ORG {city}] lost to [ORG {city2}] on {day} .
        [LOC {country}] lost to [LOC {country2}] on {day} .
        [PER {last}] flew home to [LOC {city}] to rest , the coach said on {day} .
        " [ORG {city}] will grant us nothing , " [PER {last}] {verb} .
        [ORG {city} {team}] and [ORG {city2} {team}] drew {d} - {d} in [LOC {city}] .
        """,
}
HEADLINES = {
    "politics": """
        [LOC {country}] , [LOC {country2}] TO TALK ON {goods} .
        [PER {name}] SAYS NO TO [MISC {nationality}] BILL .
        [ORG {body}] MAY MARCH ON [LOC {city}] .
        """,
    "markets": """
        [ORG {company}] {move} ON [MISC {nationality}] {goods} .
        [LOC {city}] SHARES {move} {n} PERCENT .
        [PER {last}] TO LEAVE [ORG {last_company}] .
        """,
    "sports": """
        SOCCER - [ORG {city}] BEAT [ORG {city2}] .
        TENNIS - [PER {last}] WINS [MISC {season} {event}] .
        SOCCER - [LOC {country}] TO MEET [LOC {country2}] .
        """,
}

Sentence = list[tuple[str, str]]  # each token with its tag


def lines(text: str) -> list[str]:
    """The lines of a template text."""
    return [line.strip() for line in text.strip().splitlines()]


class Pool:
    """Draws the names of a split.

    `share_new` and `share_rare` are the fractions of names that do not occur in train, with a
    vector and without one (see NAMES).
    """

    def __init__(self, rng: random.Random, share_new: float, share_rare: float) -> None:
        self.rng = rng
        self.shares = (share_new, share_rare)
        self.names = {
            key: [[name.replace("_", " ") for name in part.split()] for part in text.split("|")]
            for key, text in NAMES.items()
        }

    def draw(self, key: str) -> str:
        """Draw a name of a kind, a key of NAMES."""
        usual, *others = self.names[key]
        chance = self.rng.random()
        for names, share in zip(others, self.shares, strict=False):
            if chance < share:
                return self.rng.choice(names)
            chance -= share
        return self.rng.choice(usual)


def document_names(pool: Pool) -> dict[str, str]:
    """The names that a document uses again and again, by slot."""
    rng = pool.rng
    last = pool.draw("surname")
    last2 = pool.draw("surname")
    company = pool.draw("company")
    return {
        "last": last,
        "last2": last2,
        "name": f"{pool.draw('given')} {last}",
        "name2": f"{pool.draw('given')} {last2}",
        "last_company": company,
        "company": rng.choice([f"{company} {pool.draw('kind')}", f"{company} & {last}", company]),
        "city": pool.draw("city"),
        "city2": pool.draw("city"),
        "country": pool.draw("country"),
        "country2": pool.draw("country"),
        "nationality": pool.draw("nationality"),
        "body": pool.draw("body"),
    }


def fill(template: str, names: dict[str, str], pool: Pool) -> Sentence:
    """Fill the slots of a template; the tags are IOB2."""

    def value(match: re.Match[str]) -> str:
        slot = match[1]
        if slot in names:
            return names[slot]
        if slot == "n":
            return str(pool.rng.randint(2, 90))
        if slot == "d":
            return str(pool.rng.randint(0, 6))
        return pool.draw(slot)

    sentence: Sentence = []
    prefix = type_ = ""
    for word in re.sub(r"\{(\w+)\}", value, template).split():
        if word.startswith("["):
            prefix, type_ = "B-", word[1:]
            continue
        ends = word.endswith("]")
        tag = prefix + type_ if prefix else "O"
        sentence.append((word.removesuffix("]"), tag))
        prefix = "" if ends or not prefix else "I-"
    first, tag = sentence[0]
    sentence[0] = (first[0].upper() + first[1:], tag)
    return sentence


def document(pool: Pool) -> Iterator[Sentence]:
    """A headline in capitals, a dateline, and some sentences of one kind of news."""
    rng = pool.rng
    names = document_names(pool)
    genre = rng.choice(sorted(TEMPLATES))
    headline = fill(rng.choice(lines(HEADLINES[genre])), names, pool)
    yield [(token.upper(), tag) for token, tag in headline]
    year, month, day = rng.randint(2031, 2039), rng.randint(1, 12), rng.randint(1, 28)
    dateline = fill("[LOC {city}]", names, pool)
    yield [(token.upper(), tag) for token, tag in dateline] + [(f"{year}-{month:02}-{day:02}", "O")]
    templates = lines(TEMPLATES[genre])
    for template in rng.sample(templates, rng.randint(4, 8)):
        yield fill(template, names, pool)


def documents(size: int, pool: Pool) -> list[list[Sentence]]:
    """Documents with `size` sentences in total; the last one may be cut short."""
    result: list[list[Sentence]] = []
    while size > 0:
        result.append(list(document(pool))[:size])
        size -= len(result[-1])
    return result


def conll(documents: list[list[Sentence]]) -> str:
    """The text of a CoNLL file with these documents: a token and its tag a line."""
    blocks = []
    for sentences in documents:
        blocks.append("-DOCSTART- O\n")
        blocks += ["".join(f"{token} {tag}\n" for token, tag in s) for s in sentences]
    return "\n".join(blocks)


def vectors(sentences: list[list[str]]) -> str:
    """The text of a file in word2vec format with vectors of the words of lower-cased sentences.

    They factorise the positive pointwise mutual information of words and contexts (Levy, Goldberg
    & Dagan, TACL 2015) in double precision. Rounded to 4 digits the numbers are the same on any
    machine, which those of a trained Word2Vec model are not.
    """
    occurrences = Counter(word for sentence in sentences for word in sentence)
    words = sorted(word for word, count in occurrences.items() if count >= MIN_COUNT)
    row = {word: i for i, word in enumerate(words)}
    counts = np.zeros((len(words), len(words)))
    for sentence in sentences:
        ids = [row[word] for word in sentence if word in row]
        for i, word in enumerate(ids):
            for context in ids[max(i - WINDOW, 0) : i]:
                counts[word, context] += 1
                counts[context, word] += 1
    frequency = counts.sum(axis=1)
    with np.errstate(divide="ignore"):
        pmi = np.log(counts * frequency.sum() / np.outer(frequency, frequency))
    values, directions = np.linalg.eigh(np.maximum(pmi, 0))
    largest = np.argsort(-np.abs(values))[:DIMENSION]
    directions = directions[:, largest]
    signs = np.sign(directions[np.abs(directions).argmax(axis=0), range(DIMENSION)])
    table = directions * signs * np.sqrt(np.abs(values[largest]))
    table = np.round(table, 4) + 0.0  # no -0.0000
    order = sorted(words, key=lambda word: (-occurrences[word], word))
    rows = [f"{word} {' '.join(f'{x:.4f}' for x in table[row[word]])}" for word in order]
    return "\n".join([f"{len(words)} {DIMENSION}", *rows, ""])


def make(folder: Path) -> None:
    """Write the corpus and the vectors under `folder`."""
    corpus = folder / "corpora" / "sample"
    vectors_of_words = folder / "vectors" / "sample"
    corpus.mkdir(parents=True, exist_ok=True)
    vectors_of_words.mkdir(parents=True, exist_ok=True)
    for split, size in SIZES.items():
        share_new, share_rare = (0.0, 0.0) if split == "train" else (0.4, 0.2)
        pool = Pool(random.Random(SEEDS[split]), share_new, share_rare)
        text = conll(documents(size, pool))
        (corpus / f"{split}.conll").write_text(text, encoding="utf-8", newline="\n")
    pool = Pool(random.Random(SEEDS["vectors"]), 0.3, 0.0)
    lower_cased = [
        [token.lower() for token, _ in sentence]
        for sentences in documents(VECTOR_SENTENCES, pool)
        for sentence in sentences
    ]
    text = vectors(lower_cased)
    (vectors_of_words / "vectors.txt").write_text(text, encoding="utf-8", newline="\n")


if __name__ == "__main__":
    make(HERE)
