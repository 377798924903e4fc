"""Tag millions of documents, on one machine or many: parquet or JSON Lines in, parquet out.

    python -m tagger.mass data/tagger IN OUT --text text --id id

IN and OUT are folders, here or in a store that Arrow knows (s3://bucket/path). Ray Data hands out
the parts of the input, about 4 MB each, to actors that have loaded the tagger. An actor reads a
part's rows while it tags them, and gives what it wrote the name of the part once it is whole. So a
run that was interrupted goes on where it stopped, and a part that was tagged twice, as its actor
died, is in OUT once. Ray Data's own readers would not do: what they hand out does not say which
rows of which file it holds.
"""

import argparse
import io
import json
import logging
import os
import secrets
import sys
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple
from uuid import uuid4

from tagger.document import Document
from tagger.files import InputError, reading, sha256

PART = 4 * 2**20  # bytes of input, before compression, that an actor gets at a time
ROWS = 256  # that are tagged at a time
RETRIES = 3  # of a part whose actor died
PARQUET, JSON_LINES, COMPRESSED = ".parquet", (".jsonl", ".json"), (".jsonl.gz", ".json.gz")
# In OUT. Arrow and Spark skip names that begin so when they read a folder, and so do we.
RECORD, PARTIAL = "_tagger.json", "_partial-"
FIELDS = "fields"  # the column with what a line of JSON holds besides


@dataclass(frozen=True)
class Settings:
    """What decides the content of OUT, beside the tagger and the input.

    Attributes:
        text: the column of parquet, or the field of JSON, that holds a document's text
        id: the one that holds its id
        wrapped: see `Tagger.tag`
        threshold: see `Tagger.tag`
    """

    text: str = "text"
    id: str = "id"
    wrapped: bool = False
    threshold: float = 0.0


class Part(NamedTuple):
    """What an actor gets at a time: from first up to last, without it.

    These are row groups of parquet; of JSON Lines, they are bytes, and a line belongs to the part
    that its first byte is in.
    """

    source: str
    first: int
    last: int
    target: str  # the file that it becomes


class Counts(NamedTuple):
    """Documents that went through a tagger, and how many of them have an error."""

    documents: int
    errors: int


def load_tagger(folder: Path) -> Any:
    """The tagger in a folder, with one thread, since its actor has one CPU."""
    from tagger import Tagger

    return Tagger.load(folder, threads=1)


def tag_folder(
    tagger: Path,
    source: str,
    target: str,
    settings: Settings,
    *,
    actors: int | None = None,
    load: Callable[[Path], Any] = load_tagger,
) -> Counts:
    """Tag all documents of IN, but for the parts that OUT has already.

    Ray is started on this machine, and stopped afterwards. If the environment variable RAY_ADDRESS
    names a cluster, that does the work.

    Args:
        tagger: the folder of a tagger, which is sent to the actors
        source: IN, a folder with files .parquet, .jsonl, .json, .jsonl.gz or .json.gz in it or in
            folders below, or one such file
        target: OUT, a folder that is made if need be
        settings: how to tag
        actors: how many documents are tagged at a time, each on a CPU; None is one CPU fewer than
            Ray has, so that the machine stays usable
        load: gives the object that tags, from the folder of a tagger

    Returns:
        The documents that were tagged now.

    Raises:
        InputError: something cannot be used, and nothing was tagged; or parts of the input could
            not be tagged, and all others are in OUT.
    """
    load(tagger)  # a damaged one is told at once, and not by each actor
    parts = plan(tagger, source, target, settings)
    if not parts:
        print(f"{target} has everything already", file=sys.stderr)
        return Counts(0, 0)
    options = _prepare_ray()
    import ray

    ray.init(log_to_driver=False, logging_level="ERROR", **options)
    try:
        cpus = int(ray.cluster_resources().get("CPU", 0))
        actors = max(1, cpus - 1) if actors is None else actors
        if not 1 <= actors <= cpus:
            raise InputError(
                f"--actors {actors}: Ray has {cpus} CPUs, and each actor takes one; more actors "
                f"would wait for ever. Give a number from 1 to {cpus}"
            )
        content = ray.put({file.name: file.read_bytes() for file in tagger.iterdir()})
        context = ray.data.DataContext.get_current()
        context.enable_progress_bars = context.print_on_execution_start = False
        context.log_internal_stack_trace = False
        context.max_errored_blocks = -1  # the other parts are tagged all the same
        # There are no other tasks than those of the actors, which thus may have all CPUs.
        results = ray.data.from_items(
            [part._asdict() for part in parts], override_num_blocks=len(parts)
        ).map_batches(
            TagPart,
            fn_constructor_args=[content, source, target, settings, load],
            batch_size=1,
            batch_format="pyarrow",
            compute=ray.data.ActorPoolStrategy(size=actors, max_tasks_in_flight_per_actor=1),
            num_cpus=1,
            max_task_retries=RETRIES,  # by default, for ever
        )
        return _follow(results.iter_rows(), parts)
    finally:
        ray.shutdown()
        _remove_partial(*open_folder(target))


def _prepare_ray() -> dict[str, Any]:
    """Set up Ray's environment and messages, and give what `ray.init` needs to know."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")  # an actor's death is dealt with
    if os.environ.get("RAY_ADDRESS"):
        options: dict[str, Any] = {"runtime_env": {"py_modules": [str(Path(__file__).parent)]}}
    else:
        # Ray listens on all interfaces, but only to those that have the token. This one is gone at
        # the end of the run; without it, Ray would write one to ~/.ray.
        os.environ |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
        options = {
            "address": "local",
            "include_dashboard": False,
            "object_store_memory": 256 * 2**20,
            "runtime_env": {"env_vars": {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}},
        }
    import ray.data  # which sets up its messages

    warnings.simplefilter("ignore", ray.util.annotations.RayDeprecationWarning)
    for handler in logging.getLogger(ray.data.__name__).handlers:
        if isinstance(handler, logging.StreamHandler):  # not the one of Ray's log files
            handler.setLevel(logging.CRITICAL)
    return options


def _follow(results: Iterable[dict[str, Any]], parts: Sequence[Part]) -> Counts:
    """Count what comes back from the actors, and say every few seconds how far they are."""
    start = shown = time.monotonic()
    documents = errors = 0
    failures = {
        part.target: f"{part.source}: its actor died each of {RETRIES + 1} times, as it does where "
        "memory is short"
        for part in parts
    }
    for done, row in enumerate(results, 1):
        documents += row["documents"]
        errors += row["errors"]
        if row["failure"]:
            failures[row["target"]] = row["failure"]
        else:
            del failures[row["target"]]
        now = time.monotonic()
        if now > shown + 5 or done == len(parts):
            shown = now
            rate = documents / (now - start)
            print(
                f"{done} of {len(parts)} parts, {documents} documents, {errors} with an error, "
                f"{rate:.0f} documents/s",
                file=sys.stderr,
            )
    if failures:
        raise InputError(
            f"{len(failures)} of {len(parts)} parts could not be tagged; the others are in OUT. "
            f"Remove the cause, and give the command again for the rest. The first: "
            f"{next(iter(failures.values()))}"
        )
    return Counts(documents, errors)


def plan(tagger: Path, source: str, target: str, settings: Settings) -> list[Part]:
    """The parts of IN that OUT does not have, after a record in OUT of what it is made of.

    Raises:
        InputError: IN has no documents or a file that cannot be used, or OUT holds something else
            than what IN, the tagger and the settings give.
    """
    files, folder = open_folder(source)
    outputs, out = open_folder(target)
    if files.type_name == outputs.type_name and f"{out}/".startswith(f"{folder}/"):
        raise InputError(f"OUT {target} lies in IN {source}: it would be read; put it elsewhere")
    inputs = _list_files(files, folder)
    if not inputs:
        raise InputError(
            f"{source}: there is no such file, or none in the folder; give parquet or JSON Lines"
        )
    with ThreadPoolExecutor() as pool:
        cuts = list(pool.map(lambda info: _cut(files, info, settings), inputs.values()))
    record = {
        "tagger": sha256(tagger / "config.json"),
        "settings": asdict(settings) | {"part": PART},
        "inputs": {name: [info.size, info.mtime_ns] for name, info in inputs.items()},
    }
    finished = _begin(outputs, out, target, record)
    return [
        Part(inputs[name].path, first, last, f"{out}/{output}")
        for name, bounds in zip(inputs, cuts, strict=True)
        for number, (first, last) in enumerate(bounds)
        if (output := f"{name}-{number:05}{PARQUET}") not in finished
    ]


def open_folder(place: str) -> tuple[Any, str]:
    """Arrow's file system of a path or an address like s3://bucket/path, and the path there."""
    from pyarrow.fs import FileSystem, LocalFileSystem

    if "://" not in place:
        return LocalFileSystem(), str(Path(place).resolve())
    try:
        files, path = FileSystem.from_uri(place.rstrip("/"))
    except (OSError, ValueError) as error:
        raise InputError(f"{place} cannot be opened: {error}") from error
    return files, path


def _list_files(files: Any, folder: str) -> dict[str, Any]:
    """What is known of the files in a folder and below, or of one file, by their names there."""
    from pyarrow.fs import FileSelector

    info = files.get_file_info(folder)
    if info.is_file:
        return {info.base_name: info}
    found = files.get_file_info(FileSelector(folder, allow_not_found=True, recursive=True))
    named: dict[str, Any] = {
        info.path.removeprefix(f"{folder}/"): info for info in found if info.is_file
    }
    return {
        name: named[name]
        for name in sorted(named)
        if not any(step.startswith(("_", ".")) for step in name.split("/"))
    }


def _cut(files: Any, info: Any, settings: Settings) -> list[tuple[int, int]]:
    """From where to where each part of a file goes, see `Part`.

    Raises:
        InputError: the file cannot be used, or lacks a column.
    """
    import pyarrow.parquet as pq

    name = info.path.lower()
    if name.endswith((*JSON_LINES, *COMPRESSED)):
        _output_schema(_json_schema(settings), info.path, settings)
    if name.endswith(COMPRESSED):
        return [(0, sys.maxsize)]  # it can only be read from its start
    if name.endswith(JSON_LINES):
        return [(first, first + PART) for first in range(0, max(info.size, 1), PART)]
    if not name.endswith(PARQUET):
        raise InputError(
            f"{info.path} is neither parquet nor JSON Lines by its name, which must end in "
            f"{', '.join((PARQUET, *JSON_LINES, *COMPRESSED))}; move or rename it"
        )
    with reading(Path(info.path)), files.open_input_file(info.path) as stream:
        table = pq.ParquetFile(stream)
        _output_schema(table.schema_arrow, info.path, settings)
    bounds, first, size = [], 0, 0
    for i in range(table.num_row_groups):
        size += table.metadata.row_group(i).total_byte_size
        if size >= PART:
            bounds.append((first, i + 1))
            first, size = i + 1, 0
    if first < table.num_row_groups or not bounds:
        bounds.append((first, table.num_row_groups))
    return bounds


def _output_schema(schema: Any, path: str, settings: Settings) -> Any:
    """The columns of the input, and after them the entities and the error of each document.

    Raises:
        InputError: a column is not there, is no text, or would be there twice.
    """
    import pyarrow as pa

    entity = [("start", pa.int64()), ("end", pa.int64()), ("label", pa.string()),
              ("score", pa.float64()), ("text", pa.string())]  # fmt: skip
    output = pa.schema([*schema, ("entities", pa.list_(pa.struct(entity))), ("error", pa.string())])
    if len(set(output.names)) < len(output):
        raise InputError(
            f"{path}: the output would have two columns of one name: {', '.join(output.names)}; "
            "the last two are its own, so rename those of the input"
        )
    for name in (settings.text, settings.id):
        if name not in schema.names:
            raise InputError(
                f"{path} has no column {name!r}, but {', '.join(schema.names)}; name the columns "
                "with --text and --id"
            )
    kind = schema.field(settings.text).type
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    if not (pa.types.is_string(kind) or pa.types.is_large_string(kind)):
        raise InputError(
            f"{path}: the column {settings.text!r} is of type {kind}, not text; name another with "
            "--text"
        )
    return output


def _begin(files: Any, folder: str, target: str, record: dict[str, Any]) -> set[str]:
    """Record in OUT what it is made of, and give the names of the files that are there already.

    Raises:
        InputError: these are not of the same tagger, settings and files of IN. Files of IN of which
            OUT has nothing yet may be others.
    """
    path = f"{folder}/{RECORD}"
    finished = set(_list_files(files, folder))
    made_of = {name.rpartition("-")[0] for name in finished}

    def relevant(record: dict[str, Any]) -> dict[str, Any]:
        inputs: dict[str, Any] = {
            f"file {n}": value for n, value in record["inputs"].items() if n in made_of
        }
        result: dict[str, Any] = {"tagger": record["tagger"], **record["settings"], **inputs}
        return result

    if files.get_file_info(path).is_file:
        with reading(Path(path)), files.open_input_stream(path) as stream:
            old = relevant(json.loads(stream.read()))
        for name, value in old.items():
            if value != (now := relevant(record).get(name)):
                raise InputError(
                    f"{target} has output of another {name}: {path} has {value}, but now it is "
                    f"{now}. Give another OUT, or remove there what is to be made again"
                )
    elif finished:
        raise InputError(
            f"{target} has files, but no {RECORD}, so they are not of tagger.mass; give another OUT"
        )
    if files.type_name == "local":
        files.create_dir(folder, recursive=True)
    _remove_partial(files, folder)
    partial = f"{folder}/{PARTIAL}{uuid4().hex}"
    with files.open_output_stream(partial) as stream:
        stream.write(json.dumps(record, indent=2, sort_keys=True).encode())
    files.move(partial, path)
    return finished


def _remove_partial(files: Any, folder: str) -> None:
    """Remove what actors that died have left behind."""
    from pyarrow.fs import FileSelector

    for info in files.get_file_info(FileSelector(folder, allow_not_found=True)):
        if info.base_name.startswith(PARTIAL):
            files.delete_file(info.path)


class TagPart:
    """An actor: it loads the tagger once, and then makes files of parts."""

    def __init__(
        self,
        content: Any,
        source: str,
        target: str,
        settings: Settings,
        load: Callable[[Path], Any],
    ) -> None:
        import ray

        with TemporaryDirectory() as folder:
            for name, data in ray.get(content).items():
                Path(folder, name).write_bytes(data)
            self.tagger = load(Path(folder))
        self.files, _ = open_folder(source)
        self.outputs, self.out = open_folder(target)
        self.settings = settings

    def __call__(self, batch: Any) -> dict[str, list[Any]]:
        """Make the file of the one part in a table; in the row given, an error's message or ''."""
        (row,) = batch.to_pylist()
        part, counts, failure = Part(**row), Counts(0, 0), ""
        try:
            counts = self.write(part)
        except Exception as error:  # which would end the whole run
            failure = f"{part.source}: {type(error).__name__}: {error}"
        content = counts._asdict() | {"target": part.target, "failure": failure}
        return {name: [value] for name, value in content.items()}

    def write(self, part: Part) -> Counts:
        """Tag a part into its file, which gets its name at the end."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        partial = f"{self.out}/{PARTIAL}{uuid4().hex}"
        is_compressed = part.source.lower().endswith(COMPRESSED)
        documents = errors = 0
        with (
            self.files.open_input_stream(part.source)  # decompresses what ends in .gz
            if is_compressed
            else self.files.open_input_file(part.source)
        ) as stream:
            if part.source.lower().endswith(PARQUET):
                input_schema, batches = _read_parquet(stream, part, self.settings)
            else:
                input_schema, batches = _read_json(stream, part, self.settings)
            schema = _output_schema(input_schema, part.source, self.settings)
            with (
                self.outputs.open_output_stream(partial) as output,
                pq.ParquetWriter(output, schema, compression="zstd") as writer,
            ):
                kept: list[Any] = []
                size = 0
                for batch, untagged in batches:
                    tagged = self.tag(untagged)
                    documents += len(tagged)
                    errors += sum(document.error is not None for document in tagged)
                    kept.append(_add_columns(batch, tagged, schema))
                    size += kept[-1].nbytes
                    if size > PART:
                        writer.write_table(pa.Table.from_batches(kept))
                        kept, size = [], 0
                writer.write_table(pa.Table.from_batches(kept, schema))
        if self.outputs.type_name == "local":
            self.outputs.create_dir(str(Path(part.target).parent), recursive=True)
        self.outputs.move(partial, part.target)
        return Counts(documents, errors)

    def tag(self, documents: Sequence[Document]) -> list[Document]:
        """Tag documents; what one of them raises becomes its error."""
        options = {"wrapped": self.settings.wrapped, "threshold": self.settings.threshold}
        try:
            return list(self.tagger.tag(documents, **options))
        except Exception as error:
            if len(documents) > 1:
                return [self.tag([document])[0] for document in documents]
            return [replace(documents[0], error=f"{type(error).__name__}: {error}")]


def _add_columns(batch: Any, documents: Sequence[Document], schema: Any) -> Any:
    """Rows with the columns of the output, from rows of the input and their tagged documents."""
    import pyarrow as pa

    entities = [
        None if document.error is not None else [asdict(entity) for entity in document.entities]
        for document in documents
    ]
    errors = [document.error for document in documents]
    added = [
        pa.array(entities, schema.field("entities").type),
        pa.array(errors, schema.field("error").type),
    ]
    return pa.RecordBatch.from_arrays([*batch.columns, *added], schema=schema)


Batches = Iterator[tuple[Any, list[Document]]]  # rows with their documents, ROWS at a time


def _read_parquet(stream: Any, part: Part, settings: Settings) -> tuple[Any, Batches]:
    """The columns of some row groups, and their rows, read without a whole group in memory."""
    import pyarrow.parquet as pq

    table = pq.ParquetFile(stream, buffer_size=2**20, pre_buffer=False)

    def document(value: Any) -> Document:
        try:
            text = value.as_py()
        except UnicodeDecodeError as error:  # parquet does not look into its texts
            return Document("", error=f"the text is not UTF-8: {error.reason}")
        return Document("", error="the text is null") if text is None else Document(text)

    def batches() -> Batches:
        for batch in table.iter_batches(ROWS, range(part.first, part.last)):
            yield batch, [document(value) for value in batch[settings.text]]

    return table.schema_arrow, batches()


def _read_json(stream: Any, part: Part, settings: Settings) -> tuple[Any, Batches]:
    """The columns of JSON Lines, and the rows of those lines that begin in a part."""
    import pyarrow as pa

    schema = _json_schema(settings)

    def batches() -> Batches:
        lines = _lines(stream, part)
        while some := list(islice(lines, ROWS)):
            documents = [_parse(line, place, settings) for place, line in some]
            texts = [None if document.error else document.text for document in documents]
            fields = [document.fields.get(FIELDS) for document in documents]
            columns = [[document.id for document in documents], texts, fields]
            yield (
                pa.RecordBatch.from_arrays(
                    [pa.array(c, pa.string()) for c in columns], schema=schema
                ),
                documents,
            )

    return schema, batches()


def _json_schema(settings: Settings) -> Any:
    """The columns of JSON Lines.

    A file of JSON does not say which type a field has in every line. So the id becomes text, and
    what a line has beside the two fields stays JSON.
    """
    import pyarrow as pa

    return pa.schema([(name, pa.string()) for name in (settings.id, settings.text, FIELDS)])


def _lines(stream: Any, part: Part) -> Iterator[tuple[int, bytes]]:
    """The lines of a part that are not blank, each with the byte at which it begins."""
    reader = io.BufferedReader(stream, 2**20)
    place = part.first
    if place:  # the end of the line before, which may be its line feed alone
        reader.seek(place - 1)
        place += len(reader.readline()) - 1
    while place < part.last and (line := reader.readline()):
        if not line.isspace():
            yield place, line
        place += len(line)


def _parse(line: bytes, place: int, settings: Settings) -> Document:
    """The document of a line; what the line has besides is JSON in its field FIELDS."""
    id = None
    try:
        content = json.loads(line)
        if not isinstance(content, dict):
            raise InputError("it is no object")
        value = content.pop(settings.id, None)
        if not isinstance(value, str | int) or isinstance(value, bool):
            raise InputError(f"its {settings.id!r} is not there, or neither text nor an integer")
        str(value).encode()  # half of a surrogate pair raises an error
        id = str(value)
        text = content.pop(settings.text, None)
        if not isinstance(text, str):
            raise InputError(f"its {settings.text!r} is not there, or no text")
        text.encode()
        return Document(text, id, {FIELDS: json.dumps(content, allow_nan=False)})
    except (ValueError, RecursionError) as error:
        return Document("", id, error=f"the line at byte {place} cannot be used: {error}")


def main(load: Callable[[Path], Any] = load_tagger) -> None:
    """Read the command line, tag, and end with 1 if a document has an error."""
    parser = argparse.ArgumentParser(
        prog="python -m tagger.mass", description="Tag millions of documents with Ray."
    )
    parser.add_argument("tagger", type=Path, help="the folder of a tagger")
    parser.add_argument("source", metavar="IN", help="a folder or s3://bucket/path to read")
    parser.add_argument("target", metavar="OUT", help="a folder or s3://bucket/path to write")
    parser.add_argument("--text", default="text", help="the column of the texts (default: text)")
    parser.add_argument("--id", default="id", help="the column of the ids (default: id)")
    parser.add_argument("--wrapped", action="store_true", help="the texts have hard line breaks")
    parser.add_argument("--threshold", type=float, default=0.0, help="drop entities scored below")
    parser.add_argument("--actors", type=int, help="default: one fewer than there are CPUs")
    given = parser.parse_args()
    settings = Settings(given.text, given.id, given.wrapped, given.threshold)
    try:
        counts = tag_folder(
            given.tagger, given.source, given.target, settings, actors=given.actors, load=load
        )
    except (InputError, OSError) as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        sys.exit("Interrupted: what is finished is in OUT, and the same command does the rest.")
    if counts.errors:
        sys.exit(f"{counts.errors} of {counts.documents} documents have an error: see that column.")


if __name__ == "__main__":
    from tagger import mass  # actors can import what is in it, but not what is in __main__

    mass.main()
