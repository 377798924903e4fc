"""Stage 4: train the tagger, and keep the epoch that tags validation best.

Run as `python -m stages train data/embeddings data/index data/model data/curve.csv`.
"""

import json
import math
import os
import time
from collections.abc import Sequence
from concurrent.futures import Executor
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import pandas as pd
import torch
from pydantic import Field
from seqeval.metrics import f1_score
from torch.nn.utils import clip_grad_norm_
from torch.optim import Adam, Optimizer
from torch.optim.lr_scheduler import LambdaLR
from tqdm import tqdm

from stages.sparse_adam import SparseAdam
from stages.temperature import fit_temperature
from tagger.corpus.conll import SPLITS
from tagger.corpus.tags import parse, tag_set, to_iob2, types_of
from tagger.encoding.context import Context
from tagger.encoding.encoder import CHARACTERS, TRAIN_TOKENS, Encoder
from tagger.encoding.split import TAGS, ContextFeatures, Split, batches
from tagger.encoding.vocabulary import read_vectors
from tagger.files import InputError, atomic_output, check_hashes, read_lines, reading
from tagger.model.bilstm_crf import BiLSTMCRF
from tagger.model.checkpoint import EMBEDDINGS, decoder_of, hash_embeddings, save_checkpoint
from tagger.model.configuration import TaggerConfiguration
from tagger.model.threads import configure_threads, parallel_map

VALIDATION_BATCH = 64  # sentences
MANY = 100  # tags, above which their number decides how long training takes
# Of the index; test is for evaluate alone.
READ = (TRAIN_TOKENS, CHARACTERS, TAGS, "train.safetensors", "validation.safetensors")


def train(
    embeddings: Path,
    index: Path,
    model: Path,
    curve: Path,
    *,
    scheme: Literal["IOB2", "BIOES"],
    finetune: bool,
    characters: Literal["none", "cnn"],
    filters: Annotated[int, Field(ge=1, le=4096)],
    document: bool,
    crf: bool,
    hidden: Annotated[int, Field(ge=1, le=4096)],
    layers: Annotated[int, Field(ge=1, le=8)],
    dropout: Annotated[float, Field(ge=0, lt=1)],
    recurrent_dropout: Annotated[float, Field(ge=0, lt=1)],
    learning_rate: Annotated[float, Field(gt=0, le=1)],
    decay: bool,
    batch_size: Annotated[int, Field(ge=1, le=4096)],
    epochs: Annotated[int, Field(ge=1, le=1000)],
    patience: Annotated[int, Field(ge=1, le=1000)],
    clip: Annotated[float, Field(gt=0, allow_inf_nan=False)],
    seed: Annotated[int, Field(ge=0, lt=2**32)],
    threads: Annotated[int, Field(ge=1, le=256)],
    device: Literal["auto", "cpu", "cuda"],
) -> None:
    """Write the tagger of the best epoch, and the curve: epoch, losses and F1 as CSV.

    Raises:
        InputError: there is no such device, an input is damaged, or the loss is no longer finite.
    """
    processor = choose(device)
    os.environ["CUBLAS_WORKSPACE_CONFIG"] = ":4096:8"  # cuBLAS repeats its bits only with one
    torch.use_deterministic_algorithms(True)
    # Nothing reads what it has not written, and filling every new tensor takes time.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    # A GPU does one thing after another, and autograd's thread for it must not wait for others.
    executor = configure_threads(threads if processor.type == "cpu" else 1)
    torch.manual_seed(seed)
    random = np.random.default_rng(seed)

    check_inputs(embeddings, index)
    encoder = Encoder.load(index, embeddings)
    training, validation = (Split.read(index / f"{s}.safetensors") for s in SPLITS[:2])
    iob2 = read_lines(index / TAGS)
    assert training.tags is not None
    assert validation.tags is not None
    # The types that train has: nothing could learn others, which the corpus may have too.
    tags = tag_set(types_of(iob2[id_] for id_ in np.unique(training.tags)), scheme)
    gold = validation.by_sentence(validation.tags, iob2)
    targets = [target_ids(split, iob2, tags, scheme) for split in (training, validation)]
    configuration = TaggerConfiguration(
        tags=tuple(tags),
        scheme=scheme,
        train_token_count=len(encoder.train_tokens) if finetune else 0,
        character_count=len(encoder.characters) if characters == "cnn" else 0,
        filters=filters,
        document=document,
        crf=crf,
        hidden=hidden,
        layers=layers,
        dropout=dropout,
        recurrent_dropout=recurrent_dropout,
    )
    vectors = read_vectors(embeddings)
    network = BiLSTMCRF(torch.from_numpy(vectors), configuration).to_device(processor)
    dense, sparse = network.dense_parameters(), network.sparse_parameters()
    optimizers: list[Optimizer] = [Adam(dense, lr=learning_rate, fused=True)]
    if sparse:
        optimizers.append(SparseAdam(sparse, lr=learning_rate))
    steps = epochs * math.ceil(len(training) / batch_size)
    schedules = [LambdaLR(o, lambda step: 1 - step / steps if decay else 1.0) for o in optimizers]
    size = sum(p.numel() for p in (*dense, *sparse))
    how = f"{processor}, threads: {threads}" if processor.type == "cpu" else str(processor)
    print(f"training {size:,} weights on {how}", flush=True)

    if len(tags) > MANY:
        print(warn_of_tags(network, training, targets[0], batch_size), flush=True)
    contexts = [
        Context.of(split, vectors).features if document else None
        for split in (training, validation)
    ]
    started = time.perf_counter()
    rows = []
    best_f1, best_epoch, best_weights = -1.0, 0, {}
    for epoch in range(1, epochs + 1):
        start = time.perf_counter()
        network.train()
        total = torch.zeros((), dtype=torch.float64)
        cut = batches(training.lengths, batch_size, random)
        # The bar is for a terminal; elsewhere a line by epoch is enough.
        for sentences in tqdm(cut, f"epoch {epoch}", leave=False, disable=None):
            batch = training.batch(sentences, contexts[0])
            target = torch.from_numpy(targets[0][batch.positions])
            loss = network.loss(network(batch, executor), target, batch.layout)
            loss.backward()
            clip_grad_norm_(dense, clip)
            for optimizer, schedule in zip(optimizers, schedules, strict=True):
                optimizer.step()
                schedule.step()
                optimizer.zero_grad()
            total += loss.detach() * len(target)
        train_loss = total.item() / len(training.token_types)
        seconds = time.perf_counter() - start
        if not math.isfinite(train_loss):
            raise InputError(
                f"params.yaml: learning_rate: with {learning_rate} the loss is {train_loss} in "
                f"epoch {epoch}; try a smaller one"
            )

        tag_ids, validation_loss = validate(network, validation, contexts[1], targets[1], executor)
        predicted = [to_iob2(sentence) for sentence in validation.by_sentence(tag_ids, tags)]
        f1 = float(f1_score(gold, predicted, zero_division=0))
        rows.append((epoch, train_loss, validation_loss, f1))
        print(
            f"epoch {epoch}: train loss {train_loss:.4f}, validation loss {validation_loss:.4f}, "
            f"validation F1 {f1:.4f}, {seconds:.1f} s of training, "
            f"{time.perf_counter() - started:.1f} s in all",
            flush=True,
        )
        if f1 > best_f1:
            best_f1, best_epoch = f1, epoch
            best_weights = {name: w.clone() for name, w in network.state_dict().items()}
        elif epoch - best_epoch == patience and epoch < epochs:
            print(f"no better for {patience} epochs: stopping")
            break

    print(f"epoch {best_epoch} is the best, with validation F1 {best_f1:.4f}")
    network.load_state_dict(best_weights)
    network.eval()
    held_out = [
        (network.score(batch), targets[1][batch.positions], batch.layout)
        for sentences in batches(validation.lengths, VALIDATION_BATCH)
        for batch in [validation.batch(sentences, contexts[1])]
    ]
    temperature = fit_temperature(decoder_of(network), held_out)
    print(f"probabilities are calibrated by a temperature of {temperature}")
    table = pd.DataFrame(rows, columns=["epoch", "train_loss", "validation_loss", "validation_f1"])
    with atomic_output(model) as folder, atomic_output(curve) as file:
        save_checkpoint(folder, encoder, network.cpu(), temperature, hash_embeddings(embeddings))
        table.to_csv(file, index=False, float_format="%.6f", lineterminator="\n")


def validate(
    network: BiLSTMCRF,
    split: Split,
    context: ContextFeatures | None,
    gold: np.ndarray,
    executor: Executor | None,
) -> tuple[np.ndarray, float]:
    """Tag a split, and compare the tags with the gold ones.

    Args:
        network: what tags
        split: its sentences
        context: gives their context features, see `Split.batch`
        gold: the gold tags, as ids of the network's tags, [tokens] int64
        executor: of `configure_threads`, to tag several batches at a time

    Returns:
        the best allowed tags as ids, [tokens] int64, and the mean loss over all tokens
    """
    network.eval()
    decoder = decoder_of(network)
    tags = np.empty_like(gold)

    def tag(sentences: np.ndarray) -> float:
        batch = split.batch(sentences, context)
        with torch.no_grad():  # here, since PyTorch keeps this setting by thread
            emissions = network(batch)
            target = torch.from_numpy(gold[batch.positions])
            loss = network.loss(emissions, target, batch.layout).item()
        tags[batch.positions] = decoder.decode(emissions.numpy(), batch.layout)
        return loss * len(target)

    losses = parallel_map(executor, tag, batches(split.lengths, VALIDATION_BATCH))
    return tags, sum(losses) / len(gold)


def check_inputs(embeddings: Path, index: Path) -> None:
    """Refuse inputs that have changed since the stage `index` wrote or read them.

    The files of test are not looked at.
    """
    record = index / "index.json"
    with reading(record):
        hashes = json.loads(record.read_text(encoding="utf-8"))
        files = {name: hashes["files"][name] for name in READ}
        vectors = {name: hashes["embeddings"][name] for name in EMBEDDINGS}
    check_hashes(index, files, record, "It is damaged: delete it, and make it again")
    check_hashes(embeddings, vectors, record, "Index the corpus with these word vectors again")


def target_ids(split: Split, iob2: Sequence[str], tags: Sequence[str], scheme: str) -> np.ndarray:
    """The gold tags of a split as ids of the tagger's own tag set, [tokens] int64.

    Entities of types that the tagger does not know have the tags of no entity.
    """
    assert split.tags is not None
    ids = {tag: id_ for id_, tag in enumerate(tags)}
    # By IOB2 tag id, the tag of a token that begins its entity or goes on with it, and whose entity
    # goes on after it or ends there: [begins or goes on, goes on after or ends, IOB2 tags]
    prefixes = (("B", "S"), ("I", "E")) if scheme == "BIOES" else (("B", "B"), ("I", "I"))
    types = [parse(tag)[1] for tag in iob2]
    table = np.array(
        [[[ids.get(f"{p}-{t}", ids["O"]) for t in types] for p in pair] for pair in prefixes]
    )
    is_inside = np.array([tag.startswith("I-") for tag in iob2])[split.tags]
    # A sentence that was cut (see `Encoder.encode_types`) may begin inside of an entity.
    is_inside[split.offsets[:-1]] = False
    ends = np.append(~is_inside[1:], True)
    targets: np.ndarray = table[is_inside.astype(int), ends.astype(int), split.tags]
    return targets


def warn_of_tags(network: BiLSTMCRF, split: Split, targets: np.ndarray, batch_size: int) -> str:
    """A warning of what many tags cost: how long the CRF alone takes, tried with one batch.

    Args:
        network: not trained yet
        split: the training sentences
        targets: their gold tags, as ids of the network's tags, [tokens] int64
        batch_size: in sentences
    """
    tags = network.configuration.tags
    warning = f"warning: {len(tags):,} tags of {len(types_of(tags)):,} types"
    if not network.configuration.crf:
        return f"{warning}; the time of finding the best tags grows with the square of the tags"
    cut = batches(split.lengths, batch_size)
    batch = split.batch(cut[len(cut) // 2], None)
    start = time.perf_counter()
    emissions = torch.zeros(len(batch.positions), len(tags), requires_grad=True)
    target = torch.from_numpy(targets[batch.positions])
    torch.autograd.grad(network.loss(emissions, target, batch.layout), emissions)
    seconds = (time.perf_counter() - start) * len(split.token_types) / len(batch.positions)
    return (
        f"{warning}; the transitions between them (crf) add about {seconds:,.0f} s to each epoch, "
        "and their time grows with the square of the tags. Fewer types, or "
        "`scheme: IOB2`, take less; `crf: false` takes almost none of it"
    )


def choose(device: str) -> torch.device:
    """The device of a name. `auto` is a GPU if there is one, else the CPU."""
    if device == "cuda" and not torch.cuda.is_available():
        raise InputError("params.yaml: device: 'cuda', but torch finds no GPU; use auto or cpu")
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(device)
