"""What each part of the tagger is worth: the default, and it without each, over several seeds.

Run as `python -m benchmarks.ablation [RUNS]`: RUNS experiments at a time, one for each core unless
told otherwise.

Each run is an experiment of DVC in a copy of the working tree, so `dvc exp show` lists it. When the
command ends, it is a line of metrics/runs.csv. If the command is stopped, it goes on from there
when started again, and repeats the runs whose code, parameters or versions have changed since.
Whenever it ends, it writes metrics/ablation.csv and the README's table from the lines that there
are. Edit nothing meanwhile: DVC takes each experiment from the working tree, and an experiment of
other code than the commit's is refused.
"""

import argparse
import hashlib
import json
import math
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

import dvc.api
import pandas as pd
import yaml
from dvc.exceptions import DvcException

from review.revision import Revision, git
from tagger.files import InputError, atomic_output

MODELS = {  # parameters that differ from params.yaml, and the number of seeds
    "the default tagger": ("", 5),
    "IOB2 tags": ("scheme=IOB2", 3),
    "no CRF": ("crf=false", 3),
    "no characters": ("characters=none", 3),
    "no trained vectors": ("finetune=false", 3),
    "no document": ("document=false", 3),
    "the classroom's Bi-LSTM": (
        "scheme=IOB2 finetune=false characters=none document=false crf=false "
        "decay=false hidden=256 dropout=0 recurrent_dropout=0",
        5,
    ),
}
RUNS, ABLATION = Path("metrics/runs.csv"), Path("metrics/ablation.csv")
README, SECTION = Path("README.md"), "ablation"
# The lines so far. Git must not track them: DVC reverts tracked files while an experiment starts.
PARTIAL = Path("metrics/partial-ablation.csv")
COLUMNS = ["model", "seed", "code", "validation_f1", "test_f1", "seconds"]


def inputs_of_f1(revision: str) -> dict[str, str]:
    """What determines a model's F1, apart from parameters, as it is committed.

    It is the dependencies and commands of all stages up to train, what evaluate tags with, and the
    scorer; the rest of the evaluation does not change F1.

    Returns:
        git's hash of each file or folder by its path, and the command of each stage by its name

    Raises:
        SystemExit: the commit lacks a dependency that dvc.yaml names.
    """
    stages = Revision.find(Path(), revision).stages()
    stages.pop("export", None)  # which comes after the scores
    evaluate = stages.pop("evaluate")
    made = {out for stage in stages.values() for out in stage.outs}
    files = {dep for stage in stages.values() for dep in stage.deps} - made
    files |= {dep for dep in evaluate.deps if re.match("tagger/(?!pages/)", dep)}
    files.add("evaluation/scoring.py")
    paths = sorted(files)
    try:
        hashes = git(Path(), "rev-parse", *(f"{revision}:{path}" for path in paths)).split()
    except subprocess.CalledProcessError as error:
        sys.exit(f"ablation: commit what dvc.yaml names: {error.stderr.strip()}")
    commands = {name: str(stage.command) for name, stage in stages.items()}
    return dict(zip(paths, hashes, strict=True)) | commands


def code_hash(model: str) -> str:
    """A hash of all that determines a model's results, as it is committed."""
    text = json.dumps(
        [inputs_of_f1("HEAD"), git(Path(), "show", "HEAD:params.yaml"), MODELS[model][0]]
    )
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def name_of(model: str, seed: int) -> str:
    """The name of a run's experiment."""
    return f"{re.sub('[^a-zA-Z0-9]+', '-', model)}-{seed}-{code_hash(model)}"


def run(model: str, seed: int) -> float:
    """Run an experiment, and return the seconds of its training; nan if DVC had the model already.

    Raises:
        RuntimeError: it failed, or the working tree was changed meanwhile.
    """
    name = name_of(model, seed)
    settings = [*MODELS[model][0].split(), f"seed={seed}", "threads=1"]
    seconds = []
    if not commit_of(name):  # it exists if the command was stopped before its line was written
        command = [
            sys.executable,
            "-m",
            "dvc",
            "--wait-for-lock",
            "exp",
            "run",
            "--temp",
            "--name",
            name,
            "evaluate",
        ]
        for setting in settings:
            command += ["-S", setting]
        result = subprocess.run(
            command, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        if result.returncode:
            raise RuntimeError(f"{' '.join(command)} failed:\n{result.stdout}")
        seconds = re.findall(r"([\d.]+) s in all", result.stdout)
    parameters = dvc.api.params_show("params.yaml", rev="HEAD")
    parameters |= yaml.safe_load("\n".join(setting.replace("=", ": ") for setting in settings))
    if (
        inputs_of_f1(commit_of(name)) != inputs_of_f1("HEAD")
        or dvc.api.params_show("params.yaml", rev=commit_of(name)) != parameters
    ):
        raise RuntimeError(f"{name} has other code or parameters: was anything edited meanwhile?")
    return float(seconds[-1]) if seconds else float("nan")


def commit_of(name: str) -> str:
    """The commit of an experiment, empty if there is none of this name."""
    return git(Path(), "for-each-ref", "--format=%(objectname)", f"refs/exps/*/*/{name}").strip()


def write(table: pd.DataFrame, path: Path) -> None:
    """Write a table as CSV, with scores to 4 decimals and whole seconds."""
    scores = {
        column: table[column].map("{:.4f}".format, na_action="ignore")
        for column in table.columns
        if "_f1" in column
    }
    table = table.assign(**scores)
    with atomic_output(path) as file:
        table.to_csv(file, index=False, float_format="%.0f", lineterminator="\n")


def summarise(runs: pd.DataFrame) -> pd.DataFrame:
    """Summarise each model's runs.

    Returns:
        a row a model: its settings, the number of seeds, mean and sample standard deviation of F1,
        and the seconds of the quickest training
    """
    groups = runs.groupby("model", sort=False)
    return pd.DataFrame(
        {
            "settings": [MODELS[str(model)][0] for model in groups.groups],
            "seeds": groups["seed"].count(),
            "validation_f1": groups["validation_f1"].mean(),
            "validation_f1_sd": groups["validation_f1"].std(),
            "test_f1": groups["test_f1"].mean(),
            "test_f1_sd": groups["test_f1"].std(),
            "seconds": groups["seconds"].min(),
        }
    ).reset_index()


def markdown(table: pd.DataFrame) -> str:
    """Format an ablation as the README's table."""
    lines = ["| model | seeds | validation | test | training |", "|---|---|---|---|---|"]
    for row in table.to_dict("records"):
        scores = [
            f"{row[score]:.4f}" + (f" ± {row[f'{score}_sd']:.4f}" if row["seeds"] > 1 else "")
            for score in ("validation_f1", "test_f1")
        ]
        seconds = "unknown" if math.isnan(row["seconds"]) else f"{row['seconds']:.0f} s"
        cells = [row["model"], str(row["seeds"]), *scores, seconds]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def replace_section(path: Path, name: str, content: str) -> None:
    """Replace what is between the lines `<!-- name -->` and `<!-- /name -->` of a Markdown file.

    Args:
        path: of the file
        name: of the section
        content: whole lines

    Raises:
        InputError: the file does not hold the two lines once each, in this order.
    """
    before, after = split_at_section(path, name)
    path.write_text(before + content + after, encoding="utf-8")


def split_at_section(path: Path, name: str) -> tuple[str, str]:
    """The text of a Markdown file up to a section's first line, and from its last line on.

    Raises:
        InputError: see `replace_section`.
    """
    start, end = f"<!-- {name} -->\n", f"<!-- /{name} -->\n"
    text = path.read_text(encoding="utf-8")
    before, _, rest = text.partition(start)
    _, _, after = rest.partition(end)
    if text.count(start) != 1 or rest.count(end) != 1:
        raise InputError(
            f"{path} must hold the lines {start.strip()} and {end.strip()} once each, in this "
            "order: put them around what is to be replaced"
        )
    return before + start, end + after


def tabulate(runs: pd.DataFrame) -> None:
    """Write metrics/runs.csv, metrics/ablation.csv and the README's table."""
    write(runs, RUNS)
    PARTIAL.unlink(missing_ok=True)
    table = summarise(runs)
    write(table, ABLATION)
    replace_section(README, SECTION, markdown(table))


def main() -> None:
    """Run what has not run, and write the tables.

    Raises:
        SystemExit: a run failed; or something that determines a result is not committed, so that
            nobody could know what was run; or the README has no place for the table.
    """
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("runs", type=int, nargs="?", default=os.cpu_count() or 1)
    at_a_time = max(1, parser.parse_args().runs)
    try:
        split_at_section(README, SECTION)  # now, not after hours of training
    except InputError as error:
        sys.exit(f"ablation: {error}")
    if changed := git(
        Path(), "status", "--porcelain", "--", "params.yaml", "dvc.yaml", *inputs_of_f1("HEAD")
    ):
        sys.exit(f"ablation: commit these first, since experiments are of a commit:\n{changed}")
    tables = [pd.read_csv(path) for path in (PARTIAL, RUNS) if path.exists()]
    done = pd.concat([pd.DataFrame(columns=COLUMNS), *tables], ignore_index=True)
    done = done.astype({"seed": int, "seconds": float})  # without rows a column has no type
    done = done[done["code"] == done["model"].map({model: code_hash(model) for model in MODELS})]
    done = done.drop_duplicates(["model", "seed"], ignore_index=True)
    most = max(seeds for _, seeds in MODELS.values())
    wanted = [
        (model, seed)
        for seed in range(1, most + 1)
        for model, (_, seeds) in MODELS.items()
        if seed <= seeds
    ]
    missing = [
        run for run in wanted if run not in set(zip(done["model"], done["seed"], strict=True))
    ]
    failures = []
    executor = ThreadPoolExecutor(at_a_time)
    futures = {executor.submit(run, *of_run): of_run for of_run in missing}
    try:
        for future in as_completed(futures):
            model, seed = futures[future]
            try:
                seconds = future.result()
                scores = dvc.api.metrics_show(rev=commit_of(name_of(model, seed)))
            except (RuntimeError, InputError, DvcException) as error:
                failures.append(str(error))
                continue
            f1 = [scores[split]["f1"] for split in ("validation", "test")]
            done.loc[len(done)] = [model, seed, code_hash(model), *f1, seconds]
            done = done.sort_values(["model", "seed"], key=order, ignore_index=True)
            write(done, PARTIAL)
            print(f"{len(done)} of {len(wanted)}: {model}, seed {seed}: {f1}", flush=True)
    finally:
        executor.shutdown(cancel_futures=True)
        if len(done):
            tabulate(done)
    sys.exit("\n".join(failures) or None)


def order(column: pd.Series) -> pd.Series:
    """The key to sort by: models by their place in MODELS, seeds by their number."""
    return column.map(list(MODELS).index) if column.name == "model" else column


if __name__ == "__main__":
    main()
