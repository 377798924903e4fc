"""Tag millions of documents, on one machine or many: parquet or JSON Lines in, parquet out.

IN and OUT are folders, here or in a store (s3://bucket/path). OUT gets a file for each one of IN:
the columns of parquet, or the id, the text and the other fields of JSON, then "entities" and
"error". Ray tags on this machine, or on the cluster that RAY_ADDRESS names. The same command goes
on after an interruption. The exit status is 0 if all documents that this run tagged are without an
error, 1 if some of them have one, 2 if files of IN are left, and 130 after Ctrl-C.
"""

import argparse
import io
import json
import logging
import os
import secrets
import sys
import warnings
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import replace
from importlib.metadata import version
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

try:
    import pyarrow as pa
    import pyarrow.parquet as pq
    from pyarrow.dataset import dataset
    from pyarrow.fs import FileSelector, FileSystem

    version("ray")  # which is imported later
except ModuleNotFoundError as missing:
    sys.exit(f"{missing}: `make mass` installs it, or `pip install` with the extra `mass`.")

from tagger.__main__ import INTERRUPTED, NOT_DONE, positive
from tagger.apply import Tagger
from tagger.document import Document
from tagger.files import InputError, reading, sha256
from tagger.formats.read import read_json_lines
from tagger.predict import CONFIG

ROWS = 1000  # that are tagged at a time, and of a row group of the output
TRIES = 4  # of a file, where the actor dies
JSON_LINES = (".jsonl", ".json", ".jsonl.gz", ".json.gz")  # what ends otherwise must be parquet
ENTITY = {"start": pa.int64(), "end": pa.int64(), "label": pa.string(), "score": pa.float64(),
          "text": pa.string()}  # fmt: skip
ADDED = pa.schema({"entities": pa.list_(pa.struct(ENTITY)), "error": pa.string()})


def main() -> int:
    """Read the command line, tag, and return the exit status, see above."""
    parser = argparse.ArgumentParser(prog="python -m tagger.mass", description=__doc__)
    add = parser.add_argument
    add("tagger", type=Path, help="the folder of a tagger: data/tagger")
    add("source", metavar="IN", help="a folder or s3://bucket/path to read, or one file")
    add("target", metavar="OUT", help="a folder or s3://bucket/path to write")
    add("--text", default="text", help="the column of the texts (default: text)")
    add("--id", default="id", help="the column of the ids (default: id)")
    add(
        "--wrapped",
        action="store_true",
        help="hard-wrapped: the end of a line ends no sentence",
    )
    add("--actors", type=positive, help="how many tag at a time (default: one fewer than CPUs)")
    job = parser.parse_args()
    try:
        Tagger.load(job.tagger, threads=1)  # a damaged one is refused now, not by each actor
        files = plan(job)
        done = tag_files(job, files) if files else Counter[str]()
    except (ValueError, OSError) as error:
        print(f"tagger.mass: {error}", file=sys.stderr)
        return NOT_DONE
    except KeyboardInterrupt:
        remedy = "what is finished is in OUT, and the same command does the rest"
        print(f"Interrupted: {remedy}.", file=sys.stderr)
        return INTERRUPTED
    print(f"{done['documents']} documents tagged into {job.target}, {done['errors']} with an error")
    return int(done["errors"] > 0)


def plan(job: argparse.Namespace) -> list[dict[str, str]]:
    """The files of IN that OUT lacks, and their places there. OUT gets a record of how it is made.

    Raises:
        InputError: IN has no files or one that cannot be used, or OUT was made otherwise.
    """
    (store, folder), (out_store, out) = open_folder(job.source), open_folder(job.target)
    if store.type_name == out_store.type_name and f"{out}/".startswith(f"{folder}/"):
        raise InputError(f"OUT {job.target} lies in IN {job.source}, and would be read: move it")
    paths: list[str] = []
    with suppress(FileNotFoundError):  # names with _ or . at the start are left out
        paths = dataset(folder, ADDED, format="parquet", filesystem=store).files
    if not paths:
        raise InputError(f"{job.source} does not exist, or has no files of parquet or JSON Lines")
    with ThreadPoolExecutor() as pool:
        for _ in pool.map(lambda path: _read(store, path, job), paths):
            pass  # raises what one raises
    infos = out_store.get_file_info(FileSelector(out, allow_not_found=True, recursive=True))
    finished = {info.path for info in infos if info.is_file}
    how = {"tagger": sha256(job.tagger / CONFIG), "text": job.text, "id": job.id}
    made, record = json.dumps(how | {"wrapped": job.wrapped}), f"{out}/_tagger.json"
    if not finished:
        with _write(out_store, record) as stream:
            stream.write(made.encode())
    old = "another program"
    with suppress(FileNotFoundError), out_store.open_input_stream(record) as stream:
        old = stream.read().decode()
    if old != made:
        raise InputError(f"{job.target} was made with {old}, not {made}: remove or rename it")
    targets: dict[str, str] = {}
    for path in paths:
        name = path.removeprefix(folder) or path[path.rindex("/") :]
        target = f"{out}{name.removesuffix('.parquet')}.parquet"
        if target in targets:
            raise InputError(f"{path} and {targets[target]} would both be {target}: rename one")
        targets[target] = path
    return [{"source": p, "target": t} for t, p in targets.items() if t not in finished]


def tag_files(job: argparse.Namespace, files: list[dict[str, str]]) -> Counter[str]:
    """Tag files with Ray; how many files, documents and errors there were.

    Raises:
        InputError: there are not enough CPUs, or some files could not be tagged.
    """
    ray = _start_ray()
    done: Counter[str] = Counter()
    failure = f"an actor died {TRIES} times, as it does where memory is short"
    try:
        cpus = int(ray.cluster_resources().get("CPU", 0))
        actors = job.actors or max(1, cpus - 1)
        if actors > cpus:
            raise InputError(f"--actors {actors} would wait for ever: Ray has {cpus} CPUs")
        content = ray.put({file.name: file.read_bytes() for file in job.tagger.iterdir()})
        # There are no other tasks than those of the actors, which thus may have all CPUs.
        results = ray.data.from_items(files, override_num_blocks=len(files)).map(
            Actor,
            fn_constructor_args=[job, content],
            compute=ray.data.ActorPoolStrategy(size=actors, max_tasks_in_flight_per_actor=1),
            num_cpus=1,
            max_task_retries=TRIES - 1,  # by default, for ever
        )
        for row in results.iter_rows():
            failure = row.pop("failure") or failure
            done.update(row)
            progress = f"{done['files']} of {len(files)} files, {done['documents']} documents"
            print(progress, file=sys.stderr)
    except ray.exceptions.RayError as error:
        raise InputError(f"Ray cannot go on: {error}") from error
    if missed := len(files) - done["files"]:
        raise InputError(
            f"{missed} of {len(files)} files could not be tagged ({failure}). Remove the cause, "
            "and give the command again for the rest"
        )
    return done


def _start_ray() -> Any:
    """Connect to the cluster that RAY_ADDRESS names, or start Ray for this process alone.

    Raises:
        InputError: that is not possible.
    """
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")  # an actor's death is dealt with
    options: dict[str, Any] = {"runtime_env": {"py_modules": [str(Path(__file__).parent)]}}
    if not os.environ.get("RAY_ADDRESS"):
        # Ray listens on all interfaces, but only to those that have the token. This one is gone at
        # the end of the run; without it, Ray would write one to ~/.ray.
        os.environ |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
        options = {"address": "local", "include_dashboard": False, "object_store_memory": 2**28}
    import ray.data  # not before, since it reads the environment

    warnings.simplefilter("ignore", ray.util.annotations.RayDeprecationWarning)  # of retries
    logging.disable(logging.ERROR)  # what goes wrong is reported at the end
    try:
        ray.init(log_to_driver=False, **options)
    except (RuntimeError, ConnectionError, ray.exceptions.RayError) as error:
        where = os.environ.get("RAY_ADDRESS") or "of this machine"
        raise InputError(
            f"the Ray {where} cannot be used, as where its version or Python's is another: {error}"
        ) from error
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.max_errored_blocks = -1  # the other files are tagged all the same
    return ray


class Actor:
    """Loads the tagger once, and then makes files of OUT.

    Ray Data's own readers and checkpoints do not fit: where ids are there twice, or one line of
    JSON is none, documents would be lost.
    """

    def __init__(self, job: argparse.Namespace, content: Any) -> None:
        import ray

        with TemporaryDirectory() as folder:
            for name, data in ray.get(content).items():
                Path(folder, name).write_bytes(data)
            self.tagger = Tagger.load(folder, threads=1)  # since an actor has one CPU
        self.job = job

    def __call__(self, file: dict[str, str]) -> dict[str, Any]:
        """Make a file; how much that was, and why the file could not be made, or ''."""
        documents = errors = 0
        try:
            schema, batches = _read(open_folder(self.job.source)[0], file["source"], self.job)
            with (
                _write(open_folder(self.job.target)[0], file["target"]) as stream,
                pq.ParquetWriter(stream, schema, compression="zstd") as writer,
            ):
                for columns, untagged in batches:
                    tagged = tag(self.tagger, untagged, self.job.wrapped)
                    messages = [d.error for d in tagged]
                    entities = [None if d.error else list(map(vars, d.entities)) for d in tagged]
                    columns += map(pa.array, (entities, messages), ADDED.types)
                    writer.write_batch(pa.RecordBatch.from_arrays(columns, schema=schema))
                    documents += len(tagged)
                    errors += len(tagged) - messages.count(None)
        except Exception as error:  # which may be of any library, and would be lost here
            failure = f"{file['source']}: {type(error).__name__}: {error}"
            return {"failure": failure, "files": 0, "documents": 0, "errors": 0}
        return {"failure": "", "files": 1, "documents": documents, "errors": errors}


def tag(tagger: Tagger, documents: list[Document], wrapped: bool) -> list[Document]:
    """Tag documents; what one of them raises becomes its error."""
    try:
        return list(tagger.tag(documents, wrapped=wrapped))
    except Exception as error:
        if len(documents) > 1:
            return [tag(tagger, [document], wrapped)[0] for document in documents]
        return [replace(documents[0], error=f"{type(error).__name__}: {error}")]


def open_folder(place: str) -> tuple[Any, str]:
    """Arrow's file system of a path or an address like s3://bucket/path, and the path there."""
    store, path = FileSystem.from_uri(place if "://" in place else str(Path(place).resolve()))
    return store, path.rstrip("/")


def _read(store: Any, path: str, job: argparse.Namespace) -> tuple[Any, Iterator[Any]]:
    """The schema that a file of IN has in OUT; and its columns and documents, ROWS at a time."""
    if path.lower().endswith(JSON_LINES):  # whose fields may have another type in each line
        schema = pa.schema([(name, pa.string()) for name in (job.id, job.text, "fields")])
        batches = _read_json(store, path, job)
    else:
        with reading(Path(path)):
            table = pq.ParquetFile(path, filesystem=store, buffer_size=2**20, pre_buffer=False)
        schema, rows = table.schema_arrow, table.iter_batches(ROWS)
        batches = ((batch.columns, list(map(_document, batch[job.text]))) for batch in rows)
    output = pa.schema([*schema, *ADDED])
    types = dict(zip(output.names, output.types, strict=True))
    is_text = types.get(job.text) in (pa.string(), pa.large_string())
    if not is_text or job.id not in types or len(types) < len(output):
        found = ", ".join(f"{field.name} ({field.type})" for field in schema)
        raise InputError(
            f"{path} has the columns {found}. Name that of the texts (string) with --text and that "
            f"of the ids with --id; none may be there twice, or be called {ADDED.names}"
        )
    return output, batches


def _read_json(store: Any, path: str, job: argparse.Namespace) -> Iterator[Any]:
    with store.open_input_stream(path) as stream:  # which decompresses what ends in .gz
        lines = read_json_lines(io.BufferedReader(stream, 2**20), path, text=job.text, id=job.id)
        while documents := list(islice(lines, ROWS)):
            rows = [
                (str(d.id), None if d.error else d.text, json.dumps(d.fields)) for d in documents
            ]
            yield [pa.array(column, pa.string()) for column in zip(*rows, strict=True)], documents


def _document(value: Any) -> Document:
    try:
        return Document(value.as_py()) if value.is_valid else Document("", error="the text is null")
    except UnicodeDecodeError as error:  # parquet does not look into its texts
        return Document("", error=f"the text is not UTF-8: {error.reason}")


@contextmanager
def _write(store: Any, path: str) -> Iterator[Any]:
    """A stream to a new file, which has its name only once it is whole.

    What an actor that died has left behind, the next one writes over.
    """
    folder, name = path.rsplit("/", 1)
    if store.type_name == "local":  # a store like S3 needs no folders
        store.create_dir(folder, recursive=True)
    with store.open_output_stream(f"{folder}/_{name}") as stream:
        yield stream
    store.move(f"{folder}/_{name}", path)


if __name__ == "__main__":
    sys.exit(main())
