"""``%mlrun features``, ``%mlrun feature`` and ``%mlrun ingest``."""

from __future__ import annotations

from typing import Any

from mlrun_jupyter.notebooks.lines import LineParser


def features(words: list[str]) -> Any:
    """Sets and vectors; with words, features that have them in name or description."""
    from mlrun_jupyter import feature_displays

    return feature_displays.found(" ".join(words)) if words else feature_displays.listing()


def feature(words: list[str]) -> Any:
    from mlrun_jupyter import feature_displays, feature_store

    parser = LineParser(prog="%mlrun feature", add_help=False, allow_abbrev=False)
    parser.add_argument("name")
    parser.add_argument("part", nargs="?", default="", choices=("", "stats", "history", "preview", "dashboard"))
    options = parser.parse_args(words)
    found = feature_store.get_feature_object(options.name)
    if options.part == "dashboard":
        return found.dashboard()
    return feature_displays.part(found, options.part) if options.part else found


def ingest(words: list[str]) -> Any:
    """Rows into a set; returns the set, which shows itself."""
    from mlrun_jupyter import feature_store

    parser = LineParser(prog="%mlrun ingest", add_help=False, allow_abbrev=False)
    parser.add_argument("name")
    parser.add_argument("source", nargs="?", default=None, metavar="PATH")
    for option in ("--upsert", "--overwrite", "--incremental", "--service"):
        parser.add_argument(option, action="store_true")
    parser.add_argument("--schedule", default="", metavar="10m")
    options = parser.parse_args(words)
    found = feature_store.get_feature_set(options.name)
    if options.service or options.schedule:
        return feature_store.deploy_ingestion_service(found, options.source, schedule=options.schedule, upsert=options.upsert, overwrite=options.overwrite)
    done = found.ingest(options.source, upsert=options.upsert, overwrite=options.overwrite, incremental=options.incremental)
    for note in done.notes:
        print(f"[mlrun] {note}")  # noqa: T201
    return found
