"""Tag millions of documents, on one machine or many: parquet or JSON Lines in, parquet out.

IN and OUT are folders, here or in a store (s3://bucket/path). OUT gets the columns of parquet, or
the id, the text and the other fields of a line of JSON, with "entities" and "error". Ray tags on
this machine, or on the cluster that RAY_ADDRESS names. The same command goes on after an
interruption. The exit status is 0 if all documents were tagged, and 1 if not.
"""

import argparse
import sys
from pathlib import Path

from tagger.__main__ import positive, probability


def main() -> None:
    """Read the command line, tag, and end with 1 if a document has an error."""
    parser = argparse.ArgumentParser(prog="python -m tagger.mass", description=__doc__)
    add = parser.add_argument
    add("tagger", type=Path, help="the folder of a tagger: data/tagger")
    add("source", metavar="IN", help="a folder or s3://bucket/path to read, or one file")
    add("target", metavar="OUT", help="a folder or s3://bucket/path to write")
    add("--text", default="text", help="the column of the texts (default: text)")
    add("--id", default="id", help="the column of the ids (default: id)")
    add("--wrapped", action="store_true", help="line breaks are where a margin was, not an end")
    add("--threshold", type=probability, default=0.0, help="leave out entities scored below")
    add("--actors", type=positive, help="how many tag at a time (default: one fewer than CPUs)")
    given = parser.parse_args()
    try:  # here, since it needs the extra
        from tagger.mass.run import Settings, tag_folder
    except ModuleNotFoundError as error:
        sys.exit(f"{error}: `make mass` installs it, or `pip install` with the extra `mass`.")
    settings = Settings(given.text, given.id, given.wrapped, given.threshold)
    try:
        documents, errors = tag_folder(
            given.tagger, given.source, given.target, settings, given.actors
        )
    except (ValueError, OSError) as error:
        sys.exit(f"tagger.mass: {error}")
    except KeyboardInterrupt:
        sys.exit("Interrupted: what is finished is in OUT, and the same command does the rest.")
    print(f"{documents} documents tagged into {given.target}, {errors} with an error")
    sys.exit(errors > 0)


if __name__ == "__main__":
    main()
