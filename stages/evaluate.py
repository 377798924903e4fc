"""Stage 5: tag validation and test once, and score the result.

Run as `python -m stages.evaluate data/corpus data/embeddings data/index data/model
metrics/metrics.json metrics/confusion.csv data/predictions`.
"""

import json
from pathlib import Path

import pandas as pd
import torch

from tagger.lstm import workers
from tagger.model import Tagger
from tagger.scoring import count_confusions, score
from tagger.split import Split
from tagger.stage import run, whole
from tagger.tags import to_iob2, types_of
from tagger.vocabulary import TAGS, read_lines, read_vectors


def evaluate(
    corpus: Path,
    embeddings: Path,
    index: Path,
    model: Path,
    metrics: Path,
    confusion: Path,
    predictions: Path,
    *,
    threads: int,
) -> None:
    """Write the scores, the confusion of types by token, and {validation,test}.conll.

    Those hold a token, its gold tag and its predicted tag a line, as the CoNLL scorer reads them.
    """
    torch.use_deterministic_algorithms(True)
    executor = workers(threads)
    tagger = Tagger.load(model, torch.from_numpy(read_vectors(embeddings)))
    names = read_lines(index / TAGS)
    types = types_of(names)
    scores, rows = {}, []
    with whole(predictions) as folder, whole(metrics) as json_file, whole(confusion) as csv_file:
        folder.mkdir()
        for name in ("validation", "test"):
            split = Split.read(index / f"{name}.safetensors")
            gold = split.sentences(split.tags, names)
            found = tagger.tag(split, executor=executor)[0]
            predicted = [to_iob2(some) for some in split.sentences(found, tagger.tags)]
            scores[name] = score(gold, predicted)
            rows += [(name, *row) for row in count_confusions(gold, predicted, types)]
            tokens = pd.read_parquet(corpus / f"{name}.parquet")["tokens"]
            with (folder / f"{name}.conll").open("w", encoding="utf-8", newline="\n") as file:
                for sentence in zip(tokens, gold, predicted, strict=True):
                    file.writelines(f"{' '.join(line)}\n" for line in zip(*sentence, strict=True))
                    file.write("\n")
            rows_by_type = scores[name]["types"] | {"all": scores[name]}
            table = pd.DataFrame.from_dict(rows_by_type, orient="index")
            columns = ["precision", "recall", "f1", "support"]
            print(f"{name}\n{table[columns].to_string()}", flush=True)
        json_file.write_text(json.dumps(scores, indent=2) + "\n", encoding="utf-8")
        table = pd.DataFrame(rows, columns=["split", "gold", "predicted", "tokens"])
        table.to_csv(csv_file, index=False, lineterminator="\n")


if __name__ == "__main__":
    run(evaluate)
