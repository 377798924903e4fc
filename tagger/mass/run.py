"""Tag a folder with Ray Data: an actor makes a file of OUT of each part of the input.

Ray Data's own readers would not do: what they hand out does not say which rows of which file it
holds, so that a restart could not tell what is finished.
"""

import io
import json
import logging
import os
import secrets
import sys
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from uuid import uuid4

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow.fs import FileSelector, FileSystem, FileType

from tagger.apply import Tagger
from tagger.document import Document
from tagger.files import InputError, reading, sha256
from tagger.formats.read import read_json_lines
from tagger.predict import CONFIG

ROWS = 256  # that are tagged at a time
GROUP = 4 * 2**20  # bytes of a row group of the output, before compression
TRIES = 4  # of a part, where the actor dies
PARQUET, JSON_LINES = ".parquet", (".jsonl", ".json", ".jsonl.gz", ".json.gz")
# In OUT. Arrow and Spark skip names that begin so when they read a folder, and so do we.
RECORD, PARTIAL = "_tagger.json", "_partial"
ENTITY = {"start": pa.int64(), "end": pa.int64(), "label": pa.string(), "score": pa.float64(),
          "text": pa.string()}  # fmt: skip
ADDED = pa.schema({"entities": pa.list_(pa.struct(ENTITY)), "error": pa.string()})

Part = dict[str, Any]  # a source, the number of its row group (0 of JSON Lines), and a target


@dataclass(frozen=True)
class Settings:
    """The columns of text and id, or the fields of JSON Lines, and options of `Tagger.tag`."""

    text: str = "text"
    id: str = "id"
    wrapped: bool = False
    threshold: float = 0.0


def tag_folder(
    tagger: Path, source: str, target: str, settings: Settings, actors: int | None = None
) -> tuple[int, int]:
    """Tag all documents of IN, but for the parts that OUT has already.

    Args:
        tagger: the folder of a tagger, which is sent to the actors
        source: IN: parquet or JSON Lines, a file or a folder, here or an address (s3://bucket/path)
        target: OUT, a folder that is made if need be
        settings: how to tag
        actors: how many parts are tagged at a time, each on a CPU; by default one CPU stays free

    Returns:
        how many documents were tagged now, and how many of them have an error

    Raises:
        InputError: something cannot be used; or some parts could not be tagged, and the others are
            in OUT.
    """
    Tagger.load(tagger, threads=1)  # a damaged one is told at once, and not by each actor
    parts = plan(tagger, source, target, settings)
    if not parts:
        return 0, 0
    ray = _start_ray()
    try:
        cpus = int(ray.cluster_resources().get("CPU", 0))
        actors = actors or max(1, cpus - 1)
        if actors > cpus:
            raise InputError(f"--actors {actors} would wait for ever: Ray has {cpus} CPUs")
        content = ray.put({file.name: file.read_bytes() for file in tagger.iterdir()})
        # There are no other tasks than those of the actors, which thus may have all CPUs.
        results = ray.data.from_items(parts, override_num_blocks=len(parts)).map(
            TagPart,
            fn_constructor_args=[content, source, target, settings],
            compute=ray.data.ActorPoolStrategy(size=actors, max_tasks_in_flight_per_actor=1),
            num_cpus=1,
            max_task_retries=TRIES - 1,  # by default, for ever
        )
        failure = f"an actor died {TRIES} times, as it does where memory is short"
        done: Counter[str] = Counter()
        for row in results.iter_rows():
            failure = row.pop("failure") or failure
            done.update(row)
            progress = f"{done['parts']} of {len(parts)} parts, {done['documents']} documents"
            print(progress, file=sys.stderr)
    except ray.exceptions.RayError as error:
        raise InputError(f"Ray cannot go on: {error}") from error
    finally:
        ray.shutdown()
        outputs, out = open_folder(target)
        if outputs.get_file_info(f"{out}/{PARTIAL}").type != FileType.NotFound:
            outputs.delete_dir(f"{out}/{PARTIAL}")  # what actors that died have left behind
    if done["parts"] < len(parts):
        raise InputError(
            f"{len(parts) - done['parts']} of {len(parts)} parts could not be tagged ({failure}). "
            "Remove the cause, and give the command again for the rest"
        )
    return done["documents"], done["errors"]


def _start_ray() -> Any:
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")  # an actor's death is dealt with
    if os.environ.get("RAY_ADDRESS"):
        options: dict[str, Any] = {"runtime_env": {"py_modules": [str(Path(__file__).parents[1])]}}
    else:
        # Ray listens on all interfaces, but only to those that have the token. This one is gone at
        # the end of the run; without it, Ray would write one to ~/.ray.
        os.environ |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
        options = {"address": "local", "include_dashboard": False, "object_store_memory": 2**28}
    import ray.data  # not before, since it reads the environment

    warnings.simplefilter("ignore", ray.util.annotations.RayDeprecationWarning)  # of retries
    ray.init(log_to_driver=False, logging_level=logging.ERROR, **options)
    logging.getLogger("ray.data").setLevel(logging.CRITICAL)
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = context.print_on_execution_start = False
    context.max_errored_blocks = -1  # the other parts are tagged all the same
    return ray


def open_folder(place: str) -> tuple[Any, str]:
    """Arrow's file system of a path or an address like s3://bucket/path, and the path there."""
    is_address = "://" in place
    files, path = FileSystem.from_uri(place if is_address else str(Path(place).resolve()))
    return files, path.rstrip("/")


def plan(tagger: Path, source: str, target: str, settings: Settings) -> list[Part]:
    """The parts of IN that OUT does not have; OUT gets a record of what it is made with.

    Raises:
        InputError: IN has no documents or a file that cannot be used, or OUT was made otherwise.
    """
    (files, folder), (outputs, out) = open_folder(source), open_folder(target)
    if files.type_name == outputs.type_name and f"{out}/".startswith(f"{folder}/"):
        raise InputError(f"OUT {target} lies in IN {source}: it would be read; put it elsewhere")
    inputs, finished = _list_files(files, folder), _list_files(outputs, out)
    if not inputs:
        raise InputError(f"{source} does not exist, or has no files of parquet or JSON Lines")
    with ThreadPoolExecutor() as pool:
        inspected = list(pool.map(lambda path: inspect(files, path, settings), inputs.values()))
    record, path = {"tagger": sha256(tagger / CONFIG), **asdict(settings)}, f"{out}/{RECORD}"
    if outputs.get_file_info(path).is_file:
        with reading(Path(path)), outputs.open_input_stream(path) as stream:
            old = json.loads(stream.read())
    elif finished:
        old = "another program"
    else:
        old = record
        with _atomic_stream(outputs, out, path) as stream:
            stream.write(json.dumps(record, indent=2).encode())
    if old != record:
        raise InputError(f"{target} was made with {old}, not {record}: remove it, or give another")
    return [
        {"source": inputs[name], "group": group, "target": f"{out}/{output}"}
        for name, (_, groups) in zip(inputs, inspected, strict=True)
        for group in range(groups)
        if (output := f"{name}-{group:05}{PARQUET}") not in finished
    ]


def _list_files(files: Any, folder: str) -> dict[str, str]:
    """The paths of the files in a folder and below, or of one file, by their names there."""
    info = files.get_file_info(folder)
    if info.is_file:
        return {info.base_name: info.path}
    found = files.get_file_info(FileSelector(folder, allow_not_found=True, recursive=True))
    names = sorted(info.path.removeprefix(f"{folder}/") for info in found if info.is_file)
    return {n: f"{folder}/{n}" for n in names if not any(f"/{n}".count(c) for c in ("/_", "/."))}


def inspect(files: Any, path: str, settings: Settings) -> tuple[Any, int]:
    """The columns that the output of an input file has, and into how many parts it is cut.

    The columns of JSON Lines are text, since a field may have another type in each line; the
    fields beside the id and the text are JSON in one column.

    Raises:
        InputError: the file is damaged, or has other columns than it must have.
    """
    if path.lower().endswith(PARQUET):
        with reading(Path(path)), files.open_input_file(path) as stream:
            table = pq.ParquetFile(stream)
            schema, parts = table.schema_arrow, table.num_row_groups
    elif path.lower().endswith(JSON_LINES):
        names, parts = (settings.id, settings.text, "fields"), 1
        schema = pa.schema([(name, pa.string()) for name in names])
    else:
        raise InputError(f"{path} ends in none of {PARQUET}, {', '.join(JSON_LINES)}; move it away")
    output = pa.schema([*schema, *ADDED])
    types = dict(zip(output.names, output.types, strict=True))
    is_text = types.get(settings.text) in (pa.string(), pa.large_string())
    if not is_text or settings.id not in types or len(types) < len(output):
        found = ", ".join(f"{field.name} ({field.type})" for field in schema)
        raise InputError(
            f"{path} has the columns {found}. Name that of the texts (string) with --text and that "
            f"of the ids with --id; none may be there twice, or be called {ADDED.names}"
        )
    return output, parts


@contextmanager
def _atomic_stream(files: Any, out: str, path: str) -> Iterator[Any]:
    """A stream to a new file in OUT, which gets its name at the end, once it is whole."""
    partial = f"{out}/{PARTIAL}/{uuid4().hex}"
    if files.type_name == "local":  # a store like S3 needs no folders
        for name in (partial, path):
            files.create_dir(str(Path(name).parent), recursive=True)
    with files.open_output_stream(partial) as stream:
        yield stream
    files.move(partial, path)


class TagPart:
    """An actor: it loads the tagger once, and then makes files of parts."""

    def __init__(self, content: Any, source: str, target: str, settings: Settings) -> None:
        import ray

        with TemporaryDirectory() as folder:
            for name, data in ray.get(content).items():
                Path(folder, name).write_bytes(data)
            self.tagger = Tagger.load(folder, threads=1)  # since an actor has one CPU
        self.files, _ = open_folder(source)
        self.outputs, self.out = open_folder(target)
        self.settings = settings

    def __call__(self, part: Part) -> dict[str, Any]:
        """Make the file of a part; its counts, and why it could not be made, or ''."""
        try:
            documents, errors = self.write(part)
        except Exception as error:  # which may be of any library, and would be lost here
            failure = f"{part['source']}: {type(error).__name__}: {error}"
            return {"failure": failure, "parts": 0, "documents": 0, "errors": 0}
        return {"failure": "", "parts": 1, "documents": documents, "errors": errors}

    def write(self, part: Part) -> tuple[int, int]:
        """Tag a part into its file; the number of its documents, and of those with an error."""
        schema, _ = inspect(self.files, part["source"], self.settings)
        documents = errors = 0
        with (
            _atomic_stream(self.outputs, self.out, part["target"]) as output,
            pq.ParquetWriter(output, schema, compression="zstd") as writer,
        ):
            kept: list[Any] = []  # what is not written yet
            for columns, untagged in _read(self.files, part, self.settings):
                tagged = tag_each(self.tagger, untagged, self.settings)
                messages = [document.error for document in tagged]
                documents += len(tagged)
                errors += len(tagged) - messages.count(None)
                entities = [None if d.error else [asdict(e) for e in d.entities] for d in tagged]
                added = map(pa.array, (entities, messages), ADDED.types)
                kept.append(pa.RecordBatch.from_arrays([*columns, *added], schema=schema))
                if sum(batch.nbytes for batch in kept) > GROUP:
                    writer.write_table(pa.Table.from_batches(kept))
                    kept = []
            writer.write_table(pa.Table.from_batches(kept, schema))
        return documents, errors


def tag_each(tagger: Tagger, documents: Sequence[Document], settings: Settings) -> list[Document]:
    """Tag documents; what one of them raises becomes its error."""
    try:
        return list(tagger.tag(documents, wrapped=settings.wrapped, threshold=settings.threshold))
    except Exception as error:
        if len(documents) > 1:
            return [tag_each(tagger, [document], settings)[0] for document in documents]
        return [replace(documents[0], error=f"{type(error).__name__}: {error}")]


def _read(files: Any, part: Part, settings: Settings) -> Iterator[tuple[list[Any], list[Document]]]:
    """The columns of a part's rows, and their documents, ROWS at a time."""
    source = part["source"]
    if source.lower().endswith(PARQUET):
        with files.open_input_file(source) as stream:
            table = pq.ParquetFile(stream, buffer_size=2**20, pre_buffer=False)
            for batch in table.iter_batches(ROWS, [part["group"]]):
                yield batch.columns, [_document(value) for value in batch[settings.text]]
        return
    with files.open_input_stream(source) as stream:  # which decompresses what ends in .gz
        lines = io.BufferedReader(stream, 2**20)
        read = read_json_lines(lines, source, text=settings.text, id=settings.id)
        while documents := list(islice(read, ROWS)):
            texts = [None if document.error else document.text for document in documents]
            fields = [json.dumps(document.fields) for document in documents]
            columns = ([str(document.id) for document in documents], texts, fields)
            yield [pa.array(column, pa.string()) for column in columns], documents


def _document(value: Any) -> Document:
    try:
        text = value.as_py()
    except UnicodeDecodeError as error:  # parquet does not look into its texts
        return Document("", error=f"the text is not UTF-8: {error.reason}")
    return Document("", error="the text is null") if text is None else Document(text)
