"""The commands that people type, in clones, as a new user: no settings, no identity, no network."""

import hashlib
import json
import os
import re
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
import vl_convert
import yaml

from tests.conftest import TINY, Clone, commit_all, set_up

MakeClone = Callable[..., Clone]
UP_TO_DATE = "Data and pipelines are up to date."
METRICS = ("metrics.json", "confusion.csv", "intervals.csv", "sentences.csv")
STAGES = ("download", "embed", "index", "train", "evaluate", "export")


def ran(output: str) -> list[str]:
    """The stages that DVC says it ran."""
    return [name for name in STAGES if f"Running stage '{name}'" in output]


def metrics(clone: Clone) -> dict[str, dict[str, float]]:
    result: dict[str, dict[str, float]] = json.loads(clone.read("metrics/metrics.json"))
    return result


def test_a_clone_that_converts_line_endings_has_the_same_bytes(
    clone: MakeClone, origin: Path
) -> None:
    here = clone("converting", "-c", "core.autocrlf=true")
    for name in here.run("git", "ls-files").splitlines():
        assert (here.path / name).read_bytes() == (origin / name).read_bytes(), name


def test_a_second_repro_does_nothing(clone_with_results: Clone) -> None:
    output = clone_with_results.run("dvc", "repro")
    assert ran(output) == []
    assert UP_TO_DATE in output
    assert UP_TO_DATE in clone_with_results.run("dvc", "status")
    assert clone_with_results.run("git", "status", "--short") == ""


def test_repro_leaves_git_only_the_lock_and_the_metrics(reproduced: Clone) -> None:
    # Without a lock: another worker may copy this clone at this moment
    changed = reproduced.run("git", "--no-optional-locks", "status", "--short").split()
    metrics = {f"metrics/{file}" for file in METRICS}
    assert set(changed) - {"M", "??"} == {"dvc.lock", *metrics}


def test_an_experiment_reruns_what_depends_on_it_and_shows_in_the_diffs(
    clone_with_results: Clone,
) -> None:
    clone = clone_with_results
    before = metrics(clone)
    output = clone.run("dvc", "exp", "run", "-S", "hidden=24", "-S", "learning_rate=0.00001")
    assert ran(output) == ["train", "evaluate", "export"]
    assert "learning_rate: 1e-05" in clone.read("params.yaml"), "which is no number to PyYAML"
    after = metrics(clone)
    assert before["test"]["f1"] != after["test"]["f1"]

    diff = json.loads(clone.run("dvc", "metrics", "diff", "--json"))
    f1 = diff["metrics/metrics.json"]["test.f1"]
    assert (f1["old"], f1["new"]) == (before["test"]["f1"], after["test"]["f1"])
    assert "invalid_transitions" not in str(diff), "0 both times"
    params = json.loads(clone.run("dvc", "params", "diff", "--json"))
    assert params["params.yaml"].keys() == {"hidden", "learning_rate"}
    assert params["params.yaml"]["hidden"] == {"old": 16, "new": 24, "diff": 8}

    shown = json.loads(clone.run("dvc", "exp", "show", "--json"))
    (experiment,) = shown[1]["experiments"]
    assert experiment["revs"][0]["data"]["params"]["params.yaml"]["data"]["hidden"] == 24


PLOTS = {
    "Loss": ["train_loss", "validation_loss", "epoch"],
    "F1 on validation": ["entity F1", "epoch"],
    "Tokens by type": ["validation", "test", "gold", "predicted", "PER", "MISC"],
    "F1 by type and slice": [
        "validation", "test", "all", "PER", "entities of 2 tokens",
        "recall of entities seen in train", "F1 (or recall), with its 95 % interval",
    ],
}  # fmt: skip


def test_plots_can_be_drawn(clone_with_results: Clone) -> None:
    clone = clone_with_results
    plots = json.loads(clone.run("dvc", "plots", "show", "--json"))["data"]
    assert plots.keys() == PLOTS.keys()
    for name, words in PLOTS.items():
        (plot,) = plots[name]
        svg = vl_convert.vegalite_to_svg(plot["content"])
        drawn = set(re.findall(r"<text[^>]*>([^<]+)</text>", svg))
        assert not set(words) - drawn, name
        if name == "Tokens by type":
            table = pd.read_csv(clone.path / "metrics/confusion.csv")
            assert not {f"{n:,}" for n in table["tokens"]} - drawn


def test_a_bad_setting_ends_with_one_line_and_leaves_the_results(
    clone_with_results: Clone,
) -> None:
    clone = clone_with_results
    output = clone.run("dvc", "exp", "run", "-S", "dropout=1.5", status=255)
    assert ran(output) == ["train"]
    assert "train: params.yaml: dropout: '1.5' is refused: Input should be less than 1" in output
    assert "Traceback" not in output
    clone.run("git", "checkout", "-q", ".")
    assert ran(clone.run("dvc", "repro")) == []


def test_a_temporary_experiment_runs_the_code_of_its_copy(
    clone_with_results: Clone, installed: Path
) -> None:
    clone = clone_with_results
    # The package is there too, and before those of the environment.
    clone.env = clone.env | {"PYTHONPATH": str(installed), "PYTHONDONTWRITEBYTECODE": "1"}
    elsewhere = Clone(clone.path.parent, clone.env)
    found = elsewhere.run("python", "-c", "import tagger; print(tagger.__file__)")
    assert Path(found.strip()).is_relative_to(installed)

    before = {name: clone.read(name) for name in ("params.yaml", "dvc.lock")}
    module = clone.path / "tagger/model/crf.py"
    with module.open("a", encoding="utf-8") as file:
        file.write("print('code of', __file__)\n")
    commit_all(clone)  # to set uncommitted work aside DVC would ask for an identity
    output = clone.run("dvc", "exp", "run", "--temp", "-S", "hidden=8", "-S", "seed=2", "train")
    places = {line.split()[-1] for line in output.splitlines() if line.startswith("code of")}
    assert places
    for place in places:
        assert Path(place).is_relative_to(clone.path / ".dvc/tmp/exps")
    assert {name: clone.read(name) for name in before} == before


def test_an_end_in_the_middle_needs_no_manual_step(clone_with_results: Clone) -> None:
    clone = clone_with_results
    expected = clone.read("dvc.lock")
    shutil.rmtree(clone.path / ".dvc/cache/runs")
    before, train, _ = expected.partition("\n  train:\n")
    assert train
    (clone.path / "dvc.lock").write_text(before + "\n", encoding="utf-8")

    def check_nothing_is_left(output: str) -> None:
        assert "Traceback" not in output
        assert not (clone.path / "data/model").exists()
        assert not (clone.path / "data/curve.csv").exists()
        assert list(clone.path.rglob("partial-*")) == []

    clone.edit("params.yaml", "epochs: 4", "epochs: 1000")
    for how in (signal.SIGKILL, signal.SIGINT):
        process = clone.start("env", "PYTHONUNBUFFERED=1", "dvc", "repro")
        assert process.stdout
        for line in process.stdout:
            if line.startswith("epoch 2:"):
                break
        else:
            pytest.fail("training never began")
        os.killpg(process.pid, how)
        rest = process.stdout.read()
        assert process.wait() != 0
        check_nothing_is_left(rest)

    # A full disk: no file over 300 KiB, and weights of 670 kB. The error is EFBIG, not ENOSPC.
    clone.set(**TINY | {"epochs": 1, "hidden": 128})
    output = clone.run("bash", "-c", "ulimit -f 300; exec dvc repro", status=255)
    assert "train: [Errno 27] File too large" in output
    check_nothing_is_left(output)

    clone.run("git", "checkout", "-q", "params.yaml")
    assert ran(clone.run("dvc", "repro")) == ["train", "evaluate", "export"]
    assert clone.read("dvc.lock") == expected
    assert clone.run("git", "status", "--short") == ""


def test_make_repro_mends_what_a_kill_left(clone_with_results: Clone) -> None:
    clone = clone_with_results
    set_up(clone)
    locks = clone.path / ".dvc/tmp/rwlock"
    locks.write_text("")
    expected = clone.read("dvc.lock")
    (clone.path / "dvc.lock").write_text(re.sub(r"  index:\n(    .*\n)+", "", expected))
    runs = [run for run in (clone.path / ".dvc/cache/runs").rglob("*") if run.is_file()]
    (index,) = (run for run in runs if "stages index" in run.read_text(encoding="utf-8"))
    index.unlink()
    assert "rwlock" in clone.run("dvc", "repro", status=255), "or this test has lost its reason"
    # Data that the pipeline does not use, and that nobody has pulled, are no fault.
    unused = f"outs: [{{md5: {'a' * 32}, hash: md5, path: mine}}]\n"
    (clone.path / "data/inputs/vectors/mine.dvc").write_text(unused)
    assert ran(clone.run("make", "repro")) == ["index"]
    assert yaml.safe_load(clone.read("dvc.lock")) == yaml.safe_load(expected)

    # What a process that lives has locked stays so.
    model = str(clone.path / "data/model")
    held = json.dumps({"write": {model: {"pid": os.getpid(), "cmd": "another"}}})
    locks.write_text(held)
    clone.set(**TINY | {"epochs": 3})
    assert "is busy, it is being blocked by" in clone.run("make", "repro", status=2)
    assert json.loads(locks.read_text())["write"].keys() == {model}


def test_make_repro_says_which_inputs_there_are(clone: MakeClone) -> None:
    here = clone()
    set_up(here)
    for key, folder in (("corpus", "corpora"), ("embeddings", "vectors")):
        here.set(**TINY | {key: "typo"})
        output = here.run("make", "repro", status=2)
        assert f"repro: params.yaml: {key}: there is no 'typo' in data/inputs/{folder}; " in output
        assert re.search(r"there are: (.*, )?sample$", output, re.MULTILINE)
        assert "dvc repro" not in output


def test_make_repro_fails_where_the_cache_could_not_hold_an_output(
    clone_with_results: Clone,
) -> None:
    clone = clone_with_results
    set_up(clone)
    card = (clone.path / "data/tagger/README.md").read_bytes()
    md5 = hashlib.md5(card).hexdigest()  # noqa: S324
    shutil.rmtree(clone.path / "data/tagger")
    place = clone.path / ".dvc/cache/files/md5" / md5[:2]
    shutil.rmtree(place)
    place.symlink_to("/proc")  # instead of a full disk: nothing can be written there
    output = clone.run("make", "repro", status=2)
    assert ran(output) == ["export"]
    assert re.search(r"not in cache: +data/tagger", output)
    assert "repro: dvc.lock does not hold for this: see the errors above" in output
    place.unlink()
    assert ran(clone.run("make", "repro")) == ["export"]
    assert clone.run("git", "status", "--short") == ""


def test_make_sample_shows_scores_and_leaves_no_trace(clone: MakeClone) -> None:
    here = clone("shallow", "--depth", "1")
    assert (here.path / ".git/shallow").is_file()
    set_up(here)
    here.edit(
        "stages/evaluate.py", "format_scores(split,", "format_scores(split.upper(),"
    )  # work in hand
    (here.path / ".sample").mkdir()
    (here.path / ".sample/params.yaml").write_text("of an earlier time\n")
    (here.path / ".sample/done").touch()
    output = here.run("make", "sample")
    assert ran(output) == list(STAGES)
    assert here.run("git", "status", "--short") == " M stages/evaluate.py\n"
    scores = json.loads(here.read(".sample/metrics/metrics.json"))["test"]
    shown = output[output.index("TEST\n") :]
    assert f"{scores['f1']:.4f}" in shown
    assert f"{scores['types']['MISC']['recall']:.4f}" in shown
    for result in (".sample/metrics/metrics.json", ".sample/data/report/index.html"):
        assert f" {result} " in shown.replace(",", " ")
        assert (here.path / result).is_file()
    assert "sample" in here.run("make")  # the targets
