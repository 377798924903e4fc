"""What each part of the tagger is worth: the default, and it without each, over several seeds.

Run as `python -m benchmarks.ablation [RUNS]`, RUNS at a time (a core each unless told otherwise).

Each run is an experiment of DVC in a copy of its own, so `dvc exp show` lists it, and a line of
metrics/runs.csv as soon as it is done. Stopped and started again, it goes on where it stopped;
what the code, the parameters and the versions are no longer those of is run anew. Whenever it
stops, metrics/ablation.csv and the README's table are made of the lines that there are.
"""

import hashlib
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

import dvc.api
import pandas as pd

from tagger.stage import whole

MODELS = {  # what is set otherwise than in params.yaml, and the number of seeds
    "the default tagger": ("", 5),
    "IOB2 tags": ("scheme=IOB2", 3),
    "no CRF": ("crf=false", 3),
    "no characters": ("characters=none", 3),
    "no trained vectors": ("finetune=false", 3),
    "no casing": ("casing=false", 3),
    "no document": ("document=false", 3),
    "the classroom's Bi-LSTM": (
        "scheme=IOB2 finetune=false characters=none casing=false document=false crf=false "
        "decay=false hidden=256 dropout=0 recurrent_dropout=0",
        5,
    ),
}
RUNS, ABLATION = Path("metrics/runs.csv"), Path("metrics/ablation.csv")
COLUMNS = ["model", "seed", "code", "validation_f1", "test_f1", "seconds"]
SHAPES = ["stages", "tagger", "dvc.yaml", "params.yaml", "requirements.lock"]


def code() -> str:
    """A hash of all that shapes a result, as it is committed.

    Raises:
        SystemExit: some of it is not committed, so nobody could tell what was run.
    """
    if changed := git("status", "--porcelain", "--", *SHAPES):
        sys.exit(f"ablation: commit these first, since experiments are of a commit:\n{changed}")
    return hashlib.sha256(git("ls-tree", "HEAD", *SHAPES).encode()).hexdigest()[:8]


def git(*arguments: str) -> str:
    """What a git command prints."""
    return subprocess.run(["git", *arguments], check=True, capture_output=True, text=True).stdout


def name_of(model: str, seed: int, version: str) -> str:
    """The name of a run's experiment."""
    return f"{re.sub('[^a-zA-Z0-9]+', '-', model)}-{seed}-{version}"


def run(model: str, seed: int, version: str) -> float:
    """Run an experiment; the seconds that its training took, nan if there was no need to train.

    Raises:
        RuntimeError: it failed.
    """
    if name_of(model, seed, version) in git("for-each-ref", "refs/exps"):
        return float("nan")  # it was stopped between the experiment and its line
    settings = [*MODELS[model][0].split(), f"seed={seed}", "threads=1"]
    command = ["dvc", "exp", "run", "--temp", "--name", name_of(model, seed, version)]
    for setting in settings:
        command += ["-S", setting]
    result = subprocess.run(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if result.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{result.stdout}")
    seconds = re.findall(r"([\d.]+) s in all", result.stdout)
    return float(seconds[-1]) if seconds else float("nan")


def write(table: pd.DataFrame, path: Path) -> None:
    """Write a table, with scores to 4 digits and whole seconds."""
    scores = {
        column: table[column].map("{:.4f}".format, na_action="ignore")
        for column in table.columns
        if "_f1" in column
    }
    table = table.assign(**scores)
    with whole(path) as file:
        table.to_csv(file, index=False, float_format="%.0f", lineterminator="\n")


def summarise(runs: pd.DataFrame) -> pd.DataFrame:
    """By model: its settings, the number of seeds, mean and (sample) deviation of F1, seconds."""
    groups = runs.groupby("model", sort=False)
    return pd.DataFrame(
        {
            "settings": [MODELS[str(model)][0] for model in groups.groups],
            "seeds": groups["seed"].count(),
            "validation_f1": groups["validation_f1"].mean(),
            "validation_f1_sd": groups["validation_f1"].std(),
            "test_f1": groups["test_f1"].mean(),
            "test_f1_sd": groups["test_f1"].std(),
            "seconds": groups["seconds"].mean(),
        }
    ).reset_index()


def markdown(table: pd.DataFrame) -> str:
    """The README's table of an ablation."""
    lines = ["| model | seeds | validation | test | training |", "|---|---|---|---|---|"]
    for row in table.to_dict("records"):
        scores = [
            f"{row[score]:.4f}" + (f" ± {row[f'{score}_sd']:.4f}" if row["seeds"] > 1 else "")
            for score in ("validation_f1", "test_f1")
        ]
        cells = [row["model"], str(row["seeds"]), *scores, f"{row['seconds']:.0f} s"]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def tabulate(runs: pd.DataFrame) -> None:
    """Write metrics/ablation.csv and the README's table."""
    table = summarise(runs)
    write(table, ABLATION)
    readme = Path("README.md")
    text = readme.read_text(encoding="utf-8")
    text = re.sub(r"(\| model \| seeds .*\n)(\|.*\n)*", lambda _: markdown(table), text)
    readme.write_text(text, encoding="utf-8")


def main() -> None:
    """Run what has not run, and write the tables."""
    at_a_time = int(sys.argv[1]) if len(sys.argv) > 1 else os.cpu_count() or 1
    version = code()
    done = pd.read_csv(RUNS) if RUNS.exists() else pd.DataFrame(columns=COLUMNS)
    done = done[done["code"] == version]
    wanted = [(model, seed + 1) for seed in range(5) for model in MODELS if seed < MODELS[model][1]]
    missing = [
        run for run in wanted if run not in set(zip(done["model"], done["seed"], strict=True))
    ]
    with ThreadPoolExecutor(at_a_time) as executor:
        futures = {executor.submit(run, *some, version): some for some in missing}
        try:
            for future in as_completed(futures):
                model, seed = futures[future]
                seconds = future.result()
                scores = dvc.api.metrics_show(rev=name_of(model, seed, version))
                f1 = [scores[split]["f1"] for split in ("validation", "test")]
                done.loc[len(done)] = [model, seed, version, *f1, seconds]
                done = done.sort_values(["model", "seed"], key=order, ignore_index=True)
                write(done, RUNS)
                print(f"{len(done)} of {len(wanted)}: {model}, seed {seed}: {f1}", flush=True)
        except BaseException:
            executor.shutdown(cancel_futures=True)
            raise
        finally:
            tabulate(done)


def order(column: pd.Series) -> pd.Series:
    """The models as they stand in MODELS, the seeds as they are."""
    return column.map(list(MODELS).index) if column.name == "model" else column


if __name__ == "__main__":
    main()
