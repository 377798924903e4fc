"""Emissions from the exported ONNX model, by ONNX Runtime: no torch, and 8-bit integers."""

import os
from pathlib import Path

import numpy as np

from tagger.encoding.split import Batch
from tagger.files import reading

# Read by ONNX Runtime where it starts. Without it, its official builds for Linux and macOS write a
# number for this device to ~/.cache, and send Microsoft events over the network.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

import onnxruntime


class OnnxScorer:
    """Scores tags with the model that the stage `export` writes, see `stages.onnx_graph`.

    The sums are of integers, so they are exact, and no emission depends on what else is in its
    batch. Several threads may call `score` side by side; each call keeps to the thread it is on.

    Args:
        path: the ONNX model
        vectors: by word id, float16 or float32 [words + 2, dimension]

    Raises:
        InputError: the file is no ONNX model, or not one of a tagger with such vectors.
    """

    def __init__(self, path: Path, vectors: np.ndarray) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = 4  # errors are raised; nothing is printed beside
        self.vectors = vectors
        with reading(path):
            # By its path: a model may name files with weights, and none outside of its folder is
            # read. Given bytes, ONNX Runtime would look for them where the user happens to work.
            self.session = onnxruntime.InferenceSession(
                path, options, providers=["CPUExecutionProvider"]
            )
            inputs = {each.name: each.shape for each in self.session.get_inputs()}
            if inputs["vectors"][1] != vectors.shape[1]:
                raise ValueError(
                    f"it reads vectors of {inputs['vectors'][1]} values, not {vectors.shape[1]}"
                )
            self.inputs = list(inputs)

    def score(self, batch: Batch) -> np.ndarray:
        """The emissions: the score of each tag at each token of a batch, [tokens, tags] float32."""
        longest = np.count_nonzero(batch.characters.any(axis=0))  # without the padding of all
        values = {
            "vectors": self.vectors[batch.words].astype(np.float32),
            "train_tokens": batch.train_tokens,
            "characters": batch.characters[:, :longest],
            "token_types": batch.token_types,
            "context": batch.context,
            "tokens": batch.layout.tokens,
            "cells": batch.layout.cells,
        }
        (emissions,) = self.session.run(None, {name: values[name] for name in self.inputs})
        result: np.ndarray = emissions
        return result
