"""Stage 4: train the tagger, and keep the epoch that tags validation best.

Run as `python -m stages.train data/embeddings data/index data/model data/curve.csv`.
"""

import math
import os
import time
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from seqeval.metrics import f1_score
from torch.nn.utils import clip_grad_norm_
from tqdm import tqdm

from tagger.model import Tagger
from tagger.split import Split, batches
from tagger.stage import InputError, run, whole
from tagger.vocabulary import TAGS, read_lines, read_vectors


def train(
    embeddings: Path,
    index: Path,
    model: Path,
    curve: Path,
    *,
    hidden: int,
    layers: int,
    dropout: float,
    learning_rate: float,
    batch_size: int,
    epochs: int,
    patience: int,
    clip: float,
    seed: int,
    threads: int,
    device: str,
) -> None:
    """Write the best epoch's model, and the curve: epoch, losses and F1 as CSV.

    Raises:
        InputError: there is no such device, or the loss is no longer finite.
    """
    processor = choose(device)
    os.environ["CUBLAS_WORKSPACE_CONFIG"] = ":4096:8"  # cuBLAS repeats its bits only with one
    torch.use_deterministic_algorithms(True)
    torch.set_num_threads(threads)
    torch.manual_seed(seed)
    names = read_lines(index / TAGS)
    splits = {s: Split.read(index / f"{s}.safetensors") for s in ("train", "validation")}
    lengths = splits["train"].lengths
    training, validation = (split.to(processor) for split in splits.values())
    gold = validation.sentences(validation.tags, names)

    vectors = torch.from_numpy(read_vectors(embeddings))
    tagger = Tagger(vectors, names, hidden=hidden, layers=layers, dropout=dropout).to(processor)
    optimizer = torch.optim.Adam(tagger.parameters(), lr=learning_rate)
    random = np.random.default_rng(seed)
    size = sum(p.numel() for p in tagger.parameters())
    print(f"training {size:,} weights on {processor}, {threads} threads", flush=True)

    rows = []
    best_f1, best_epoch, best_weights = -1.0, 0, {}
    for epoch in range(1, epochs + 1):
        start = time.perf_counter()
        tagger.train()
        total = torch.zeros((), device=processor)
        # The bar is for a terminal; elsewhere a line by epoch is enough.
        for sentences in tqdm(
            batches(lengths, batch_size, random), f"epoch {epoch}", leave=False, disable=None
        ):
            batch = training.batch(sentences.to(processor), tagger.padding)
            loss = tagger.loss(tagger(batch), batch.tags)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            clip_grad_norm_(tagger.parameters(), clip)
            optimizer.step()
            total += loss.detach() * len(batch.positions)
        train_loss = total.item() / len(training.words)
        speed = len(training.words) / (time.perf_counter() - start)
        if not math.isfinite(train_loss):
            raise InputError(
                f"params.yaml: learning_rate: with {learning_rate} the loss is {train_loss} in "
                f"epoch {epoch}; try a smaller one"
            )

        tags, validation_loss = tagger.tag(validation)
        f1 = float(f1_score(gold, validation.sentences(tags, names), zero_division=0))
        rows.append((epoch, train_loss, validation_loss, f1))
        print(
            f"epoch {epoch}: train loss {train_loss:.4f}, validation loss {validation_loss:.4f}, "
            f"validation F1 {f1:.4f}, {speed:,.0f} tokens/s",
            flush=True,
        )
        if f1 > best_f1:
            best_f1, best_epoch = f1, epoch
            best_weights = {name: w.clone() for name, w in tagger.state_dict().items()}
        elif epoch - best_epoch == patience and epoch < epochs:
            print(f"no better for {patience} epochs: stopping")
            break

    print(f"epoch {best_epoch} is the best, with validation F1 {best_f1:.4f}")
    tagger.load_state_dict(best_weights)
    table = pd.DataFrame(rows, columns=["epoch", "train_loss", "validation_loss", "validation_f1"])
    with whole(model) as folder, whole(curve) as file:
        tagger.cpu().save(folder)
        table.to_csv(file, index=False, float_format="%.6f", lineterminator="\n")


def choose(device: str) -> torch.device:
    """The device of a name; `auto` is a GPU if there is one."""
    if device == "cuda" and not torch.cuda.is_available():
        raise InputError("params.yaml: device: 'cuda', but torch finds no GPU; use auto or cpu")
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(device)


if __name__ == "__main__":
    run(train)
