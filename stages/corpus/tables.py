"""Corpora as tables: parquet files, JSON by line, and data sets that `datasets` loads.

A row is a sentence. A column holds its tokens, another its tags, as names or as numbers of names.
"""

import io
import json
import re
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from itertools import repeat
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pyarrow.parquet as pq

from stages.corpus.description import FILE, OTHER_NAMES, DataSet, Description
from tagger.corpus.conll import BOM, DOCUMENT_START, SPLITS, Sentence
from tagger.corpus.tags import names_of_tags
from tagger.files import InputError, reading

# White space, as for `str.strip`, and byte order marks: `write_conll` refuses tokens that begin or
# end with one of these.
EDGES = "".join(filter(str.isspace, map(chr, range(0x3001)))) + BOM
Row = tuple[Any, Any, Any]  # the tokens, the tags and what names the document
# What helps where a data set could not be loaded, by what `datasets` says. The first counts.
REMEDIES = {
    "is a gated dataset|cannot be accessed|Invalid credentials": "Compare the path with its page "
    "on the Hub; if it is private or gated, ask for access there, and run `hf auth login` or set "
    "HF_TOKEN",
    "Revision '": "Give the 40 digits of one of its commits, which its page shows under Files",
    "BuilderConfig|Config name": "Name one of its configurations: `dataset: {name: …}`",
    "Dataset scripts": "If its page has a branch refs/convert/parquet, put the tables from there "
    "into the corpus' folder as train.parquet, validation.parquet and test.parquet",
    "": "If trying again does not help, put its files into the corpus' folder: train.parquet, "
    "validation.parquet and test.parquet",
}


class Columns:
    """The columns of a table that a description names."""

    def __init__(self, description: Description, present: Iterable[str], where: str) -> None:
        names = list(present)
        self.tokens, self.tags = (
            self._choose(given, key, default, names, where)
            for key, given, default in (
                ("token", description.token, "tokens"),
                ("tag", description.tag, "ner_tags"),
            )
        )
        self.document = None
        if description.documents is None:
            self.document = "document" if "document" in names else None
        elif description.documents is not False:
            self.document = self._choose(
                description.documents, "documents", "document", names, where
            )

    @staticmethod
    def _choose(given: Any, key: str, default: str, present: list[str], where: str) -> str:
        name = default if given is None else given
        if name not in present:
            hints = {"token": "token|word", "tag": "tag|label|ner", "documents": "doc"}[key]
            likely = [other for other in present if re.search(hints, other, re.IGNORECASE)]
            raise InputError(
                f"{where} has no column {name!r}; it has: {', '.join(present)}. Name the one to "
                f"read in {FILE}: `{key}: {likely[0] if likely else '…'}`, for example"
            )
        return str(name)

    @property
    def names(self) -> list[str]:
        """All of them."""
        return [name for name in (self.tokens, self.tags, self.document) if name]


def read_parquet(file: str, data: bytes, description: Description) -> list[Sentence]:
    """The sentences of a parquet file.

    Raises:
        InputError: it is damaged, or no table of sentences.
    """
    with reading(Path(file)):
        table = pq.ParquetFile(io.BytesIO(data))
        schema = table.schema_arrow
    columns = Columns(description, schema.names, file)
    with reading(Path(file)):
        names = description.names or names_of_tags(schema.metadata, columns.tags)
    return _sentences(file, _rows(file, table.iter_batches(columns=columns.names), columns), names)


def _rows(file: str, batches: Iterable[Any], columns: Columns) -> Iterator[Row]:
    with reading(Path(file)):
        for batch in batches:
            tokens, tags = (batch.column(n).to_pylist() for n in (columns.tokens, columns.tags))
            documents = batch.column(columns.document).to_pylist() if columns.document else None
            yield from zip(tokens, tags, documents or repeat(None), strict=False)


def read_jsonl(file: str, data: bytes, description: Description) -> list[Sentence]:
    """The sentences of a file with a JSON object a line.

    Raises:
        InputError: a line is no such object, or it is no sentence.
    """
    columns: Columns | None = None

    def rows() -> Iterator[Row | None]:
        nonlocal columns
        for number, line in enumerate(data.removeprefix(b"\xef\xbb\xbf").splitlines(), 1):
            if not line.strip():
                yield None
                continue
            try:
                text = line.decode()
                found = json.loads(text)
            except UnicodeDecodeError as error:
                raise InputError(
                    f"{file}, line {number}: byte {line[error.start]:#04x} is not UTF-8; save the "
                    "file as UTF-8"
                ) from error
            except (ValueError, RecursionError) as error:
                raise InputError(
                    f"{file}, line {number} is not JSON ({error}); write an object a line"
                ) from error
            if not isinstance(found, dict):
                raise InputError(
                    f"{file}, line {number}: {text[:80]!r} is no JSON object; write one a line, a "
                    "sentence each"
                )
            columns = Columns(description, found, f"{file}, line {number}")
            yield found[columns.tokens], found[columns.tags], found.get(columns.document or "")

    return _sentences(file, rows(), description.names, "line")


def load_dataset(folder: Path, description: Description) -> dict[str, list[Sentence]]:
    """The splits of a data set of the Hugging Face Hub, or of a folder beside corpus.yaml.

    Raises:
        InputError: it cannot be loaded or is no corpus, its revision is not pinned, or the folder
            is not in that of the corpus, where DVC would not see changes.
    """
    import datasets  # takes seconds, which other corpora need not wait for

    wanted = description.dataset
    assert wanted
    where = f"{folder / FILE}: dataset: {wanted.path}"
    datasets.disable_progress_bars()
    local = folder / wanted.path
    if local.exists():
        if not local.resolve().is_relative_to(folder.resolve()):
            raise InputError(f"{where} is outside of {folder}, so DVC would not see changes of it; "
                             "copy it into the folder")  # fmt: skip
        # The user's own cache might still have what stood in the folder earlier.
        with tempfile.TemporaryDirectory() as cache:
            loaded = _load(where, str(local), wanted, cache)
            return _splits(where, loaded, description)
    if re.match(r"[./~]", wanted.path) or wanted.path.count("/") > 1:
        raise InputError(f"{where}: there is no such folder in {folder}")
    if wanted.revision is None:
        raise InputError(
            f"{where} has no revision, so it may be another data set tomorrow; add the commit of "
            "the Hub: `revision: ` and its 40 digits, which its page shows under Files"
        )
    # If the Hub cannot be reached, `datasets` takes what its cache got last, of any commit and,
    # without a name, of any configuration (its issue 7928). So each has a cache of its own. The
    # prefix keeps it from a folder of that path where the stage runs.
    key = f"{wanted.revision}-{quote(wanted.name or '', safe='')}"
    cache = str(datasets.config.HF_DATASETS_CACHE / key)
    return _splits(where, _load(where, f"hf://datasets/{wanted.path}", wanted, cache), description)


def _load(where: str, path: str, wanted: DataSet, cache: str) -> Mapping[str, Any]:
    import datasets

    try:
        loaded = datasets.load_dataset(path, wanted.name, revision=wanted.revision, cache_dir=cache)
    except Exception as error:  # of many libraries, with no class in common
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:500]
        remedy = next(remedy for said, remedy in REMEDIES.items() if re.search(said, reason))
        raise InputError(f"{where} could not be loaded ({reason}). {remedy}") from error
    return dict(loaded)


def _splits(
    where: str, loaded: Mapping[str, Any], description: Description
) -> dict[str, list[Sentence]]:
    found = {}
    for name, table in loaded.items():
        split = OTHER_NAMES.get(name, name)
        if split in SPLITS:
            file = f"{where}, {name}"
            columns = Columns(description, table.column_names, file)
            features = table.features[columns.tags]
            names = description.names or getattr(
                getattr(features, "feature", features), "names", None
            )
            batches = table.with_format("arrow").iter(1000)
            found[split] = _sentences(file, _rows(file, batches, columns), names)
    if "train" not in found:
        raise InputError(f"{where} has no split train; it has: {', '.join(loaded)}")
    return {split: found[split] for split in SPLITS if split in found}


def _sentences(
    file: str, rows: Iterable[Row | None], names: list[str] | None, what: str = "row"
) -> list[Sentence]:
    """The sentences of a table.

    White space at the ends of a token is removed; tabs and line breaks inside it become blanks.

    Raises:
        InputError: a row is no sentence.
    """
    sentences: list[Sentence] = []
    document = started = 0  # the one that is being read, and how many have been started
    numbers: dict[str, int] = {}  # of the documents that have a name
    is_marked = False
    for number, row in enumerate(rows, 1):
        if row is None:
            continue
        place = f"{file}, {what} {number}"
        tokens, tags, name = row
        for key, values in (("tokens", tokens), ("tags", tags)):
            if not isinstance(values, list):
                raise InputError(
                    f"{place}: its {key} are {values!r:.80}, not a list; list one for each token"
                )
        if len(tokens) != len(tags):
            raise InputError(f"{place}: {len(tokens)} tokens, but {len(tags)} tags; tag each token")
        if not tokens:
            continue
        for token in tokens:
            if not isinstance(token, str):
                raise InputError(f"{place}: the token {token!r:.80} is not text; write it as text")
        clean = [sys.intern(re.sub(r"[\t\r\n]+", " ", t.strip(EDGES))) for t in tokens]
        named = [_name(tag, names, place) for tag in tags]
        for tag in dict.fromkeys(named):
            if re.search(r"[\t\r\n]", tag):
                raise InputError(
                    f"{place}: the tag {tag!r:.80} holds a tab or a line break; rename it"
                )
        try:
            "".join((*clean, *named)).encode()
        except UnicodeEncodeError as error:
            raise InputError(
                f"{place}: \\u{ord(error.object[error.start]):04x} is half of a surrogate pair, "
                "which is no character; repair or remove it"
            ) from error
        if DOCUMENT_START in clean:
            if len(clean) > 1 or named != ["O"]:
                raise InputError(
                    f"{place}: the token {DOCUMENT_START} starts a document: make it a sentence of "
                    "its own with the tag O, or leave it out"
                )
            document, is_marked = started, True
            numbers = {str(name): document}
        elif name is not None and name == name:  # not NaN
            document = numbers.setdefault(str(name), started)
        elif not is_marked:
            document = started
        started = max(started, document + 1)
        if clean != [DOCUMENT_START]:
            sentences.append(Sentence((clean, named), document, place, ()))
    if not sentences:
        raise InputError(f"{file} holds no sentence; it needs at least one")
    # Rows may be shuffled: the sentences of a document stand together.
    return sorted(sentences, key=lambda sentence: sentence.document)


def _name(tag: Any, names: list[str] | None, place: str) -> str:
    if isinstance(tag, str):
        return sys.intern(tag.strip())
    if isinstance(tag, int) and not isinstance(tag, bool):
        if names is None:
            raise InputError(
                f"{place}: the tag {tag} is a number without a name; list the names of the tags in "
                f"{FILE}, from that of 0 on: `names: [O, B-PER, I-PER]`"
            )
        if 0 <= tag < len(names):
            return names[tag].strip()
        raise InputError(f"{place}: there is no name for the tag {tag}; there are {len(names)}")
    raise InputError(
        f"{place}: the tag {tag!r:.80} is neither text nor a whole number; tag each token"
    )
