"""What a run needs, as people write it."""

from __future__ import annotations

import pytest

from mlrun_jupyter.errors import MLRunInvalidArgumentError
from mlrun_jupyter.model.resources import parse_resources, show_resources


def test_amounts_are_read_from_texts_and_mappings() -> None:
    assert parse_resources("cpu=2,memory=4GB, gpu=1") == {"cpu": 2, "memory": 4e9, "gpu": 1}
    assert parse_resources({"CPU": 0.5, "memory": "512Mi", "Licence": 1}) == {"cpu": 0.5, "memory": 512 * 2**20, "Licence": 1}
    assert parse_resources("") == parse_resources(None) == parse_resources({}) == {}
    assert show_resources(parse_resources("cpu=2,memory=4GB")) == "cpu=2, memory=4.0 GB"


@pytest.mark.parametrize(
    "given", ["cpu", "cpu=", "=2", "cpu=two", "cpu=2GB", "memory=4XB", "cpu=0", "cpu=-1", "cpu=nan", "9=1", {"cpu": None}, {"cpu": True}, {1: 1}, "cpu=1,,"]
)
def test_what_is_no_amount_is_refused_with_how_to_write_it(given: object) -> None:
    with pytest.raises(MLRunInvalidArgumentError, match="cpu=2,memory=4GB"):
        parse_resources(given)  # type: ignore[arg-type]
