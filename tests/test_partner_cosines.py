"""The report says whose vectors the arms `wrong` and `opposite` injected, and how like the concepts' own they are."""

from pathlib import Path

import pytest
import torch
from made import fill, new_store, trial

from introspect.concepts.vectors import ConceptVectors
from introspect.records.trial import Arm
from introspect.report.findings import Findings
from introspect.report.numbers import number
from introspect.report.setup_sheets import settings
from introspect.results.store.store import Store

WORDS = ("dust", "snow", "rain")
WRONG = "partners of another concept's vector"
OPPOSITE = "partners of the opposite concept's vector"


def save(folder: Path, values: torch.Tensor) -> ConceptVectors:
    vectors = ConceptVectors(WORDS, values, {"method": "by hand"})
    vectors.save(folder / f"vectors-{vectors.hash}.safetensors")
    return vectors


def said(folder: Path, partners: dict[Arm, dict[str, str]]) -> dict[str, str]:
    """Return the settings of a run in which these arms injected the vectors of these partners, at two strengths."""
    with Store.open(folder, write=True) as store:
        of_another = [(arm, *pair) for arm, pairs in partners.items() for pair in pairs.items()]
        trials = [trial(arm=arm, concept=word, partner=partner) for arm, word, partner in of_another]
        trials += [trial(arm=arm, concept=word, partner=partner, repeat=1) for arm, word, partner in of_another]
        fill(store, [*trials, *(trial(concept=word) for word in WORDS)])
        return dict(settings(Findings(store)))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    with new_store(tmp_path / "run"):
        return tmp_path / "run"


def test_partners_are_counted_once_with_the_range_of_their_cosines(folder: Path) -> None:
    save(folder, torch.tensor([[1.0, 0.0], [0.6, 0.8], [-2.0, 0.0]])[:, None, None])
    wrong = {"dust": "snow", "snow": "dust", "rain": "snow"}
    found = said(folder, {"wrong": wrong, "opposite": {"dust": "rain", "rain": "dust"}})
    assert found[WRONG] == (
        "3 partners, 2 of them distinct; cosine of partner and concept, mean over all sites: −0.60 to 0.60"  # noqa: RUF001
    )
    assert found[OPPOSITE].startswith("2 partners, 2 of them distinct; ")
    assert found[OPPOSITE].endswith(": −1.0 to −1.0")  # noqa: RUF001


def test_the_cosine_is_that_by_which_partners_are_drawn(folder: Path) -> None:
    values = torch.randn(3, 2, 4, 8, generator=torch.Generator().manual_seed(0))
    values[0, 1, 2] = 0  # a vector that is zero counts as at right angles
    cosine = number(float(save(folder, values).mean_cosines()[0, 1]), 2)
    assert said(folder, {"wrong": {"dust": "snow"}})[WRONG].endswith(f": {cosine} to {cosine}")


def test_cosines_are_missing_where_the_vectors_are(folder: Path) -> None:
    lacking = said(folder, {"wrong": {"dust": "snow"}})[WRONG]
    assert lacking.startswith("1 partner, 1 of them distinct; their cosines with the concept are missing")


def test_a_damaged_file_of_vectors_leaves_the_cosines_missing(folder: Path) -> None:
    (folder / "vectors-0.safetensors").write_bytes(b"no tensors")
    assert "cosines with the concept are missing" in said(folder, {"wrong": {"dust": "snow"}})[WRONG]


def test_a_run_without_such_an_arm_has_no_such_line(folder: Path) -> None:
    assert not {WRONG, OPPOSITE} & said(folder, {}).keys()
