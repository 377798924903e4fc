"""Stage 6: all that it takes to tag, in one folder, with a model card.

Run as `python -m stages export data/inputs/corpora/conllpp
data/inputs/vectors/glove-wiki-gigaword-50 data/embeddings data/index data/model data/predictions
metrics/metrics.json metrics/intervals.csv data/tagger`. `tagger.apply` says what the folder
holds.
"""

import json
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any, get_type_hints

import numpy as np
import pandas as pd
from safetensors.numpy import save

from evaluation.results import Predictions, Result, read_predictions, score_predictions
from evaluation.slices import Score
from stages.corpus.description import read_description
from stages.model_card import Sources, write_card
from stages.onnx_graph import build_graph, measure_ranges
from stages.runner import read_texts
from tagger.apply import FILES, MODEL, ONNX, Tagger
from tagger.corpus.conll import SPLITS
from tagger.encoding.split import Split
from tagger.encoding.vocabulary import VECTORS, WORDS
from tagger.files import InputError, atomic_output, check_hashes, hash_files, reading
from tagger.model.bilstm_crf import BiLSTMCRF
from tagger.model.checkpoint import hash_embeddings, load_checkpoint
from tagger.predict import CONFIG, Predictor, tags_and_probabilities, write_configuration
from tagger.text import VERSION

README, TRAIN, VECTORS_YAML = "README.md", "train.safetensors", "vectors.yaml"
SCORED = SPLITS[1:]
# How much F1 on validation may fall because of the integers, and how many entities may differ by
# chance beside that: two ways to compute the same always differ in a few tags, which on a small
# corpus is a large part of F1.
LARGEST_LOSS, BY_CHANCE = 0.01, 3


def export(
    corpora: Path,
    vectors: Path,
    embeddings: Path,
    index: Path,
    model: Path,
    predictions: Path,
    metrics: Path,
    intervals: Path,
    output: Path,
) -> None:
    """Write the folder of a tagger, whose card has the scores of that folder itself.

    Args:
        corpora: what the stage `download` read, the folder of one corpus; the card has its name,
            and its licence if it has a corpus.yaml with one
        vectors: what the stage `embed` read; the same, with a vectors.yaml
        embeddings: the word vectors
        index: has the tokens of train, by which the inputs of the ONNX model are scaled
        model: what `train` wrote
        predictions: what `evaluate` predicted in single precision, and the gold tags
        metrics: the scores of that, as JSON
        intervals: the same by type and slice with intervals, as CSV
        output: the folder to write

    Raises:
        InputError: an input is damaged, or the written tagger finds fewer entities than evaluate's.
    """
    scores, by_slice = read_scores(metrics, intervals)
    with atomic_output(output) as folder:
        folder.mkdir()
        write_tagger(folder, embeddings, index, model)
        predictor = Tagger.load(folder).predictor
        results = score(predictor, predictions)
        check(results["validation"], scores["validation"])
        sources = Sources(
            corpora.name,
            read_description(corpora).licence,
            vectors.name,
            read_texts(vectors / VECTORS_YAML) if (vectors / VECTORS_YAML).exists() else {},
        )
        card = write_card(predictor.configuration, sources, results, scores, by_slice)
        (folder / README).write_text(card, encoding="utf-8")


def write_tagger(folder: Path, embeddings: Path, index: Path, model: Path) -> None:
    """Write all files of the folder but the card.

    It is a function of its own so that its word vectors are gone from memory when those of the
    folder are loaded.
    """
    trained = load_checkpoint(model, embeddings)
    vectors = halve(trained.vectors, embeddings / VECTORS)
    network = trained.scorer
    assert isinstance(network, BiLSTMCRF)
    weights = {name: tensor.numpy() for name, tensor in network.state_dict().items()}
    ranges = measure_ranges(trained.configuration, weights, vectors, read_train(index))
    trained.encoder.save(folder)
    shutil.copyfile(embeddings / WORDS, folder / WORDS)
    (folder / MODEL).write_bytes(save(weights | {"vectors": vectors}))
    (folder / ONNX).write_bytes(build_graph(trained.configuration, weights, ranges))
    content = {
        "tagger": asdict(trained.configuration),
        "temperature": trained.temperature,
        "tokenizer": VERSION,
        "embeddings": hash_embeddings(embeddings),
        "files": hash_files(folder, FILES),
    }
    write_configuration(folder / CONFIG, content)


def halve(vectors: np.ndarray, path: Path) -> np.ndarray:
    """Word vectors in half precision, [words + 2, dimension] float16.

    Raises:
        InputError: one of their values is out of its range. `path` is their file.
    """
    largest = np.abs(vectors).max()
    if largest > np.finfo(np.float16).max:
        raise InputError(
            f"{path} has the value {largest:g} or its negative, but half precision ends at 65504; "
            "divide all vectors by some number"
        )
    return vectors.astype(np.float16)


def read_train(index: Path) -> Split:
    """The tokens of train as ids.

    Raises:
        InputError: the file is not that which the stage `index` wrote.
    """
    record = index / "index.json"
    with reading(record):
        expected = str(json.loads(record.read_text(encoding="utf-8"))["files"][TRAIN])
    remedy = "It is damaged: delete the folder, and make it again"
    check_hashes(index, {TRAIN: expected}, record, remedy)
    with reading(index / TRAIN):
        return Split.read(index / TRAIN)


def read_scores(metrics: Path, intervals: Path) -> tuple[dict[str, Any], pd.DataFrame]:
    """What the stage `evaluate` wrote of its scores: by split, and by split, type and slice."""
    with reading(metrics):
        scores = json.loads(metrics.read_text(encoding="utf-8"))
        found = {split: scores[split] for split in SCORED}
    with reading(intervals):
        types = {"split": str} | get_type_hints(Score)
        table = pd.read_csv(intervals, usecols=[*types], dtype=types, keep_default_na=False)
    return found, table


def score(predictor: Predictor, predictions: Path) -> dict[str, Result]:
    """The scores of a predictor by split, on the tokens and gold tags of files of predictions."""
    results = {}
    for split in SCORED:
        known = read_predictions(predictions / f"{split}.conll")
        found = predictor.predict(known.tokens, known.documents)
        tags, probabilities = tags_and_probabilities(found, known.tokens)
        tagged = Predictions(known.tokens, known.gold, tags, known.documents)
        results[split] = score_predictions(tagged, None, probabilities)
    return results


def check(result: Result, expected: dict[str, Any]) -> None:
    """Refuse a tagger that finds fewer entities of validation than `evaluate` did.

    Raises:
        InputError: its F1 is lower by more than LARGEST_LOSS and the share of BY_CHANCE entities.
    """
    f1, before = result.metrics["f1"], expected["f1"]
    print(f"validation F1 {f1:.4f} with 8-bit integers, {before:.4f} in single precision")
    allowed = LARGEST_LOSS + BY_CHANCE / max(expected["support"], 1)
    if f1 < before - allowed:
        raise InputError(
            f"with the weights as 8-bit integers, F1 on validation falls from {before} to {f1}, by "
            f"more than {allowed:.4f}, so what you would use is not what was scored. Weights of "
            "very unequal size, which integers cannot hold, could be the reason: train again with "
            "a smaller learning_rate or fewer epochs"
        )
