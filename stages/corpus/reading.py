"""A corpus as its folder has it: its splits, with tags in IOB2, and what was made of them."""

import re
import shlex
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate, chain
from pathlib import Path

from stages.corpus.description import (
    FILE,
    Description,
    files_of,
    read_description,
    read_file,
    refuse_links,
    suffix_of,
)
from stages.corpus.dialect import (
    LARGEST_SHARE,
    UNKNOWN,
    UnreadableTagError,
    Violation,
    count_entities,
    count_iob2_entities,
    count_tags,
    find_violations,
    read_dialect,
)
from tagger.corpus.conll import SPLITS, WRITTEN_TAG, ConllFile, Sentence
from tagger.corpus.tags import PREFIXES, count_invalid_transitions, iob2, spans, tag_set
from tagger.files import InputError

# Not a parameter, and not the seed of training: runs that differ in their seed must be scored on
# the same sentences, or they cannot be compared.
SEED = 0
FEW = 10  # tokens or sentences, of which a pattern may be chance
NUMBER = re.compile(r"(?:.*\D)?(\d{1,9})\D?")  # the last one of 7, 7., 3.7, 0-7 or s2-t7
# What the first line of a file holds where it names the columns.
HEADER_TOKENS = ("form", "id", "sentence", "sentence #", "sentence_id", "text", "token", "tokens",
                 "word", "words")  # fmt: skip
HEADER_TAGS = ("bio", "entity", "iob", "label", "labels", "ne", "ner", "ner_tag", "ner_tags", "tag",
               "tags")  # fmt: skip


@dataclass(frozen=True)
class Corpus:
    """A corpus that was read and checked.

    name: as params.yaml has it
    splits: by name, with IOB2 tags, and no empty token
    tags: the tag set: of the types of train, then of those that only other splits have
    scheme: of the tags before they were made IOB2
    layouts: of the files, in words
    repairs: what broke the scheme, with the tag that each token has now
    notes: what was read in an unusual way
    warnings: what keeps a part of it from being learnt or scored
    licence: if corpus.yaml has it
    """

    name: str
    splits: Mapping[str, Sequence[Sentence]]
    tags: Sequence[str]
    scheme: str
    layouts: Sequence[str]
    repairs: Sequence[tuple[str, Violation, str]]
    notes: Sequence[str]
    warnings: Sequence[str]
    licence: str | None


@dataclass
class _Remarks:
    layouts: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def read_corpus(folder: Path, name: str, held_out: float) -> Corpus:
    """Read the corpus in a folder, from the files there or from where its corpus.yaml says.

    Args:
        folder: of the corpus
        name: of the corpus
        held_out: the share of train's documents for each split that the corpus lacks

    Raises:
        InputError: there is no such corpus, it cannot be reached, its checksum is wrong, or it is
            malformed.
    """
    _check_folder(folder, name)
    description = read_description(folder)
    remarks = _Remarks()
    splits = _read_splits(folder, name, description, remarks)
    for split, sentences in splits.items():
        if description.token is None:
            _refuse_numbers(sentences)
            _refuse_first_column(sentences)
        _note_missing_tags(split, sentences, remarks)
        _refuse_scattered(split, sentences, remarks)
    scored = {split: s for split, s in splits.items() if not _is_unannotated(s)}
    if "train" not in scored:
        raise InputError(f"{splits['train'][0].file} has no tags but {UNKNOWN}: tag its tokens")
    dialect = _read_tags(scored, remarks)
    tags = {UNKNOWN: "O", **dialect} if len(scored) < len(splits) else dialect
    if any(tag != read for tag, read in tags.items()):
        splits = {
            split: [replace(s, columns=(s.tokens, [tags[t] for t in s.tags])) for s in sentences]
            for split, sentences in splits.items()
        }
    scheme, repairs = _check_scheme(splits, remarks)
    is_iob2 = scheme == "IOB2" and not repairs
    splits = {
        split: _tidy(split, sentences, is_iob2, remarks) for split, sentences in splits.items()
    }
    splits = _hold_out(splits, held_out, remarks)
    return Corpus(
        name,
        splits,
        _tag_set(splits, remarks),
        scheme,
        remarks.layouts,
        repairs,
        remarks.notes,
        remarks.warnings,
        description.licence,
    )


def _check_folder(folder: Path, name: str) -> None:
    """Refuse a name that no corpus has, and links.

    Raises:
        InputError: it is so.
    """
    depth = len(Path(name).parts)
    is_below = 0 < depth <= len(folder.parents) and not Path(name).is_absolute()
    corpora = folder.parents[depth - 1] if is_below else Path("data/inputs/corpora")
    known = sorted(p.name for p in corpora.iterdir() if p.is_dir()) if corpora.is_dir() else []
    if name not in known or folder.name != name:
        raise InputError(
            f"there is no corpus {name!r} (`corpus` of params.yaml, or CORPUS of make "
            f"check-corpus); there are: {', '.join(known)}. Put your own into "
            "data/inputs/corpora/NAME"
        )
    refuse_links(folder)


def _read_splits(
    folder: Path, name: str, description: Description, remarks: _Remarks
) -> dict[str, list[Sentence]]:
    files = files_of(folder, description)
    if description.dataset:
        from stages.corpus.tables import load_dataset

        remarks.layouts.append(f"the data set {description.dataset.path}")
        return load_dataset(folder, description)
    found = {}
    conll_files: dict[str, ConllFile] = {}
    for split, source in files.items():
        file, data = read_file(name, split, source, len(files))
        suffix = suffix_of(source)
        if suffix in (".parquet", ".jsonl"):
            from stages.corpus import tables

            read = tables.read_parquet if suffix == ".parquet" else tables.read_jsonl
            found[split] = read(file, data, description)
            remarks.layouts.append(f"{split}: {file}")
        else:
            try:
                layout = description.layout()
            except ValueError as error:
                raise InputError(f"{folder / FILE}: {error}") from error
            conll = conll_files[split] = ConllFile(file, data, layout=layout)
            found[split] = conll.read()
            _refuse_header(found[split])
            remarks.layouts.append(f"{split}: {file}: {_describe(conll)}")
            conll.data = b""  # which may be large
    mark = description.documents
    have_mark = any(conll.has_documents for conll in conll_files.values())
    if mark and len(conll_files) == len(found) and not have_mark:  # of a table it is a column
        raise InputError(
            f"{folder / FILE}: documents: no line begins with {mark!r}; correct it, or leave it out"
        )
    widths = {split: conll.width for split, conll in conll_files.items()}
    if len(set(widths.values())) > 1:
        remarks.warnings.append(
            "the files differ in their number of columns, so see that each has tokens and tags "
            f"where they were read: {', '.join(f'{split} has {n}' for split, n in widths.items())}"
        )
    return found


def _describe(conll: ConllFile) -> str:
    """The columns of a file in words."""
    token, tag = (i % conll.width + 1 for i in (conll.layout.token, conll.layout.tag))
    between = "tabs" if conll.separator == "tab" else "white space"
    comments = f", {conll.comments:,} lines of comments" if conll.comments else ""
    return (
        f"{conll.width} columns with {between} between, tokens in column {token}, tags in "
        f"{tag}{comments}"
    )


def _refuse_numbers(sentences: Sequence[Sentence]) -> None:
    """Refuse tokens that are the numbers of the tokens, as the first column of CoNLL-U is.

    Raises:
        InputError: they are.
    """
    longer = [sentence for sentence in sentences if len(sentence.tokens) > 1]
    same = sum(s.tokens[0] == s.tokens[1] and len(set(s.tokens)) == 1 for s in longer)
    counted = total = 0
    if sum(bool(NUMBER.fullmatch(s.tokens[0])) for s in longer) >= 0.9 * len(longer):
        for sentence in longer:
            last = None
            for token in sentence.tokens:
                match = NUMBER.fullmatch(token)
                number = int(match[1]) if match else None
                counted += number is not None and (last is None or number > last)
                last = number
            total += len(sentence.tokens)
    is_counted = total >= FEW and counted >= 0.9 * total
    is_same = len(longer) >= FEW and same >= 0.9 * len(longer)
    if longer and (is_counted or is_same):
        what = "counts the tokens" if is_counted else "is the same for all tokens of a sentence"
        raise InputError(
            f"{longer[0].location(0)}: the first column {what} ({longer[0].excerpt()[:40]}); say "
            f"in {FILE} which column has the tokens, such as `token: 2`, and, unless it is the "
            "last, which has the tags, such as `tag: 3`; or, if these are the tokens, `token: 1`"
        )


def _refuse_first_column(sentences: Sequence[Sentence]) -> None:
    """Refuse tokens that are tags, or that all begin with a language, as WikiANN's do.

    Raises:
        InputError: they are, or do.
    """
    counts = Counter(token for sentence in sentences for token in sentence.tokens)
    first = sentences[0]
    tags = sum(n for token, n in counts.items() if re.fullmatch(r"O|[BIES]-\S+", token))
    if counts.total() >= FEW and 2 * tags > counts.total():
        raise InputError(
            f"{first.location(0)}: the first column has the tags ({first.excerpt()[:40]}); say in "
            f"{FILE} where both are: `tag: 1` and `token: -1`, for example"
            if first.lines
            else f"{first.location(0)}: the tokens are tags ({first.excerpt()[:40]}); say in "
            f"{FILE} which column has the tokens: `token: NAME`"
        )
    prefix = re.match(r"[a-z-]+:(?=.)", first.tokens[0])
    if prefix and counts.total() >= FEW and all(token.startswith(prefix[0]) for token in counts):
        is_here = first.lines and "://" not in first.file
        raise InputError(
            f"{first.location(0)}: every token begins with {prefix[0]!r}; remove that"
            + (f": sed -i 's/^{prefix[0]}//' {shlex.quote(first.file)}" if is_here else "")
        )


def _refuse_header(sentences: Sequence[Sentence]) -> None:
    """Refuse a file whose first line names the columns.

    Raises:
        InputError: it does.
    """
    first = sentences[0]
    token, tag = first.tokens[0], first.tags[0]
    is_known = tag == "O" or WRITTEN_TAG.fullmatch(tag)
    is_odd = not is_known and sum(s.tags.count(tag) for s in sentences) == 1
    if token.lower() in HEADER_TOKENS and (is_odd or tag.lower() in HEADER_TAGS):
        raise InputError(f"{first.location(0)}: {token!r} and {tag!r} name columns; delete it")


def _refuse_scattered(split: str, sentences: Sequence[Sentence], remarks: _Remarks) -> None:
    """Refuse sentences of one token each if an entity goes on from one to the next.

    Raises:
        InputError: one does.
    """
    if len(sentences) < FEW or any(len(sentence.tokens) > 1 for sentence in sentences):
        return
    problem = f"every sentence of {split} has one token: an empty line may stand after each token"
    for sentence in sentences:
        if re.match(r"[IE](\b|_)", sentence.tags[0]):
            raise InputError(f"{sentence.location(0)}: {problem}; delete those within sentences")
    remarks.warnings.append(problem)


def _is_unannotated(sentences: Sequence[Sentence]) -> bool:
    return all(tag == UNKNOWN for sentence in sentences for tag in sentence.tags)


def _note_missing_tags(split: str, sentences: Sequence[Sentence], remarks: _Remarks) -> None:
    if split == "train":
        return
    if _is_unannotated(sentences):
        remarks.warnings.append(
            f"every tag of {split} is {UNKNOWN}, and read as O: it is not annotated, so it "
            "cannot be scored"
        )
    elif all(tag == "O" for sentence in sentences for tag in sentence.tags):
        remarks.warnings.append(f"every tag of {split} is O: it cannot be scored")


def _read_tags(splits: Mapping[str, Sequence[Sentence]], remarks: _Remarks) -> dict[str, str]:
    """Each tag of a corpus as a tag of `tagger.corpus.tags`.

    Raises:
        InputError: one of them cannot be read.
    """
    counts = count_tags(chain.from_iterable(splits.values()))
    try:
        dialect = read_dialect(counts)
    except UnreadableTagError as error:
        sentence, i = next(
            (sentence, sentence.tags.index(error.tag))
            for sentences in splits.values()
            for sentence in sentences
            if error.tag in sentence.tags
        )
        raise InputError(
            f"{sentence.location(i)}: {error}; in the sentence: {sentence.excerpt()}"
        ) from error
    if dialect.note:
        remarks.notes.append(f"tags: {dialect.note}")
    alike: dict[str, list[str]] = {}
    for type_ in sorted({tag[2:] for tag in dialect.tags.values()}):
        seen = filter(str.isprintable, unicodedata.normalize("NFKC", type_))
        alike.setdefault("".join(seen).strip().casefold(), []).append(repr(type_))
    remarks.warnings += [
        f"types that look alike are different types: {', '.join(types)}"
        for types in alike.values()
        if len(types) > 1
    ]
    return dict(dialect.tags)


def _check_scheme(
    splits: Mapping[str, Sequence[Sentence]], remarks: _Remarks
) -> tuple[str, list[tuple[str, Violation, str]]]:
    """The likeliest scheme, and the places that break it, which must be few.

    Raises:
        InputError: they are too many.
    """
    corpus = [sentence for sentences in splits.values() for sentence in sentences]
    counts = count_invalid_transitions(sentence.tags for sentence in corpus)
    scheme = min(counts, key=lambda scheme: counts[scheme])
    if not counts[scheme]:
        return scheme, []
    entities = sum(count_entities(corpus).values())
    violations = {split: find_violations(sentences, scheme) for split, sentences in splits.items()}
    first = next(v for found in violations.values() for v in found)
    if counts[scheme] >= LARGEST_SHARE * entities:
        each = _schemes_by_file(splits)
        if each:
            raise InputError(f"the files are in different schemes: {each}; convert them to one")
        numbers = ", ".join(f"{name}: {n}" for name, n in counts.items())
        raise InputError(
            f"{first.sentence.location(first.token)}: {first.problem} breaks {scheme}, and the "
            f"corpus fits none of {', '.join(PREFIXES)} better (places that break each, of "
            f"{entities:,} entities: {numbers}; less than 1 % are repaired); correct the tags in "
            f"the sentence: {first.sentence.excerpt()}"
        )
    remarks.notes.append(
        f"places that break {scheme}: {counts[scheme]}, of {entities:,} entities; they are read as "
        "conlleval does, for which an entity starts where the type changes"
    )
    return scheme, [
        (split, v, iob2(spans(v.sentence.tags), len(v.sentence.tags))[v.token])
        for split, found in violations.items()
        for v in found
    ]


def _schemes_by_file(splits: Mapping[str, Sequence[Sentence]]) -> str:
    """The scheme of each file, if each has one; else nothing."""
    found = []
    for split, sentences in splits.items():
        counts = count_invalid_transitions(sentence.tags for sentence in sentences)
        scheme = min(counts, key=lambda scheme: counts[scheme])
        if counts[scheme]:
            return ""
        found.append(f"{split} ({sentences[0].file}) in {scheme}")
    return ", ".join(found)


def _tidy(
    split: str, sentences: Sequence[Sentence], is_iob2: bool, remarks: _Remarks
) -> list[Sentence]:
    """The sentences in IOB2 without empty tokens; their entities keep their other tokens."""
    kept = []
    dropped = gone = 0
    for sentence in sentences:
        tokens = sentence.tokens
        if is_iob2 and "" not in tokens:
            kept.append(sentence)
            continue
        entities = spans(sentence.tags)
        lines = sentence.lines
        if "" in tokens:
            is_there = [token != "" for token in tokens]
            place = [0, *accumulate(is_there)]  # of each token among those that stay
            moved = (e._replace(start=place[e.start], end=place[e.end]) for e in entities)
            entities = [e for e in moved if e.end > e.start]
            tokens = [token for token in tokens if token]
            lines = [line for line, there in zip(lines, is_there, strict=False) if there]
            dropped += len(is_there) - len(tokens)
        if tokens:
            kept.append(
                replace(sentence, columns=(tokens, iob2(entities, len(tokens))), lines=lines)
            )
        else:
            gone += 1
    if dropped:
        remarks.notes.append(
            f"{split}: empty tokens left out: {dropped}; sentences of nothing else: {gone}"
        )
    if not kept:
        raise InputError(f"{sentences[0].file} holds no token that is not empty")
    return kept


def _hold_out(
    splits: dict[str, list[Sentence]], share: float, remarks: _Remarks
) -> dict[str, list[Sentence]]:
    """All splits: those that a corpus lacks get a share of train's documents.

    Raises:
        InputError: train has too few documents.
    """
    missing = [split for split in SPLITS if split not in splits]
    if not missing:
        return splits
    train = splits["train"]
    documents = sorted({sentence.document for sentence in train})
    size = max(1, round(share * len(documents)))
    if len(documents) <= size * len(missing):
        raise InputError(
            f"the corpus has no {' and no '.join(missing)}, and train ({train[0].file}) has "
            f"{len(documents)} document(s), too few to give {share:.0%} to each. Add the files"
            + (f", or set `documents: false` in {FILE}, so that each sentence is a document"
               if len(train) > len(documents) else "")
        )  # fmt: skip
    import numpy as np  # which other corpora need not wait for

    order = np.random.default_rng(SEED).permutation(documents).tolist()
    parts = dict.fromkeys(documents, "train")
    for i, split in enumerate(missing):
        parts |= dict.fromkeys(order[i * size : (i + 1) * size], split)
        remarks.notes.append(
            f"there is no {split}: it gets {size:,} of the {len(documents):,} documents of train, "
            f"drawn at random (held_out: {share})"
        )
    for sentence in train:
        sentence_split = parts[sentence.document]
        if sentence_split != "train":
            splits.setdefault(sentence_split, []).append(sentence)
    splits["train"] = [s for s in train if parts[s.document] == "train"]
    return {split: _renumber(splits[split]) for split in SPLITS}


def _renumber(sentences: Sequence[Sentence]) -> list[Sentence]:
    """The same with documents numbered from 0."""
    numbers = {
        document: i for i, document in enumerate(dict.fromkeys(s.document for s in sentences))
    }
    return [replace(s, document=numbers[s.document]) for s in sentences]


def _tag_set(splits: Mapping[str, Sequence[Sentence]], remarks: _Remarks) -> list[str]:
    """The tags of the types of train, then those of types that only other splits have.

    Raises:
        InputError: train has no entity.
    """
    known = count_iob2_entities(splits["train"]).keys()
    if not known:
        raise InputError(
            f"{splits['train'][0].file} holds no entity, so there is nothing to learn; tag some of "
            "its tokens"
        )
    others: set[str] = set()
    for split in SPLITS[1:]:
        counts = count_iob2_entities(splits[split])
        if unseen := sorted(counts.keys() - known):
            numbers = ", ".join(f"{type_} ({counts[type_]})" for type_ in unseen)
            remarks.warnings.append(
                f"{split} has types that train lacks; their entities count as missed: {numbers}"
            )
            others.update(unseen)
    return [*tag_set(known), *tag_set(others)[1:]]
