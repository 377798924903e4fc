"""An epoch of training and a tagging of test with flair, timed: the other side of peers.py.

Run by it, with the Python of an environment that has flair. The SequenceTagger has its default
settings: frozen vectors, projected, a bidirectional LSTM of 256 and a CRF over BIOES.
"""

import json
import tempfile
import time
from itertools import pairwise
from pathlib import Path

import flair
import numpy as np
import pandas as pd
import torch
from flair.data import Corpus, Sentence
from flair.datasets import FlairDatapointDataset
from flair.embeddings import WordEmbeddings
from flair.models import SequenceTagger
from flair.trainers import ModelTrainer

DATA = Path("data")
BATCH_SIZE, THREADS = 32, 2


def labelled(table: pd.DataFrame, names: list[str]) -> list[Sentence]:
    """The sentences as flair has them: an entity is a B- and the I- that follow."""
    sentences = []
    for tokens, ids in zip(table["tokens"], table["ner_tags"], strict=True):
        sentence = Sentence(list(tokens))
        tags = [names[id_] for id_ in ids]
        starts = [i for i, tag in enumerate(tags) if not tag.startswith("I-")]
        for start, end in pairwise([*starts, len(tags)]):
            if tags[start] != "O":
                sentence[start:end].add_label("ner", tags[start][2:])
        sentences.append(sentence)
    return sentences


def main() -> None:
    """Print the seconds of the epoch, the sentences a second and the version as JSON."""
    torch.set_num_threads(THREADS)
    words = (DATA / "embeddings/words.txt").read_text(encoding="utf-8").split("\n")[:-1]
    rows = np.load(DATA / "embeddings/vectors.npy")
    vectors = WordEmbeddings(
        None,
        vocab={word: row for row, word in enumerate(words)},
        embedding_length=rows.shape[1],
        name="glove",
    )
    vectors.embedding.weight.data[:-1] = torch.from_numpy(rows)
    names = (DATA / "index/tags.txt").read_text(encoding="utf-8").split()
    train, test = (pd.read_parquet(DATA / f"corpus/{split}.parquet") for split in ("train", "test"))
    sentences = labelled(train, names)
    one = FlairDatapointDataset(sentences[:1])  # it insists on evaluating something
    corpus = Corpus(FlairDatapointDataset(sentences), one, one)
    labels = corpus.make_label_dictionary("ner", add_unk=False)
    tagger = SequenceTagger(vectors, labels, "ner", hidden_size=256, use_crf=True)
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        ModelTrainer(tagger, corpus).train(
            folder,
            max_epochs=1,
            mini_batch_size=BATCH_SIZE,
            save_final_model=False,
            use_final_model_for_eval=True,  # and so write and read no best one
            embeddings_storage_mode="none",
        )
        epoch = time.perf_counter() - start
    start = time.perf_counter()
    tagger.predict([Sentence(list(tokens)) for tokens in test["tokens"]], BATCH_SIZE)
    speed = len(test) / (time.perf_counter() - start)
    print(json.dumps({"epoch": epoch, "speed": speed, "version": f"flair {flair.__version__}"}))


if __name__ == "__main__":
    main()
