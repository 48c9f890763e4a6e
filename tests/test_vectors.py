"""Concept vectors give what was extracted, and come back from a file as they were or not at all."""

from pathlib import Path

import pytest
import safetensors.torch
import torch

from introspect.concepts.vectors import ConceptVectors
from introspect.errors import InputError
from introspect.records.trial import Site

MANIFEST = {"method": "baseline", "template": "tell_me_about", "words": ["dust", "Sea"], "n_loops": 2}


def some(scale: float = 1.0, **manifest: object) -> ConceptVectors:
    values = torch.arange(2 * 2 * 3 * 4).reshape(2, 2, 3, 4).float() * scale
    return ConceptVectors(("dust", "Sea"), values, MANIFEST | manifest)


def test_a_vector_is_that_of_its_word_and_site() -> None:
    vectors = some()
    assert torch.equal(vectors.at("Sea", Site(1, 2)), vectors.values[1, 1, 2])
    assert torch.equal(vectors.at("sea", Site(1, 2)), vectors.values[1, 1, 2])


def test_the_extraction_loop_replaces_the_loop_of_the_site_and_leaves_its_layer() -> None:
    vectors = some()
    assert torch.equal(vectors.at("dust", Site(7, 2), extract_loop=0), vectors.values[0, 0, 2])


def test_a_word_loop_or_layer_that_was_not_extracted_is_refused() -> None:
    with pytest.raises(InputError, match="unknown concept 'dusk' in the concept vectors; did you mean dust"):
        some().at("dusk", Site(0, 0))
    with pytest.raises(InputError, match="loop 2: concept vectors were extracted at loops 0 to 1"):
        some().at("dust", Site(2, 0))
    with pytest.raises(InputError, match="loop -1"):
        some().at("dust", Site(0, 0), extract_loop=-1)
    with pytest.raises(InputError, match="layer 3: concept vectors were extracted at layers 0 to 2"):
        some().cosines(Site(0, 3))


def test_norms_and_cosines_are_those_of_the_vectors() -> None:
    values = torch.tensor([[3.0, 4.0], [-6.0, -8.0], [4.0, -3.0], [0.0, 0.0]]).reshape(4, 1, 1, 2)
    vectors = ConceptVectors(("a", "b", "c", "d"), values, {})
    assert vectors.norms().tolist() == [[[5.0]], [[10.0]], [[5.0]], [[0.0]]]
    cosines = vectors.cosines(Site(0, 0))
    torch.testing.assert_close(cosines[:3, :3], torch.tensor([[1.0, -1, 0], [-1, 1, 0], [0, 0, 1]]))
    assert cosines[3].isnan().all()


def test_a_saved_file_comes_back_equal(tmp_path: Path) -> None:
    some().save(tmp_path / "deep" / "v.safetensors")
    again = ConceptVectors.open(tmp_path / "deep" / "v.safetensors")
    assert (again.words, again.manifest, again.hash) == (some().words, some().manifest, some().hash)
    assert torch.equal(again.values, some().values)
    assert [file.name for file in (tmp_path / "deep").iterdir()] == ["v.safetensors"]


def test_the_hash_changes_with_words_values_and_manifest() -> None:
    renamed = ConceptVectors(("dust", "sea"), some().values, MANIFEST)
    assert len({some().hash, some(2.0).hash, some(template_hash="x").hash, renamed.hash}) == 4


def test_a_failed_save_leaves_the_old_file_and_nothing_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "v.safetensors"
    some().save(file)

    def full(self: Path, _: bytes) -> None:
        self.touch()
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match="No space left"):
        some(2.0).save(file)
    assert ConceptVectors.open(file).hash == some().hash
    assert list(tmp_path.iterdir()) == [file]


def test_a_file_with_any_byte_changed_or_cut_off_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "v.safetensors"
    some().save(file)
    good = file.read_bytes()
    for at in range(8, len(good), 3):
        file.write_bytes(good[:at] + bytes([good[at] ^ 1]) + good[at + 1 :])
        with pytest.raises(InputError, match=r"v.safetensors (is damaged|holds no concept vectors)"):
            ConceptVectors.open(file)
    for length in (0, 5, 200, len(good) - 1):
        file.write_bytes(good[:length])
        with pytest.raises(InputError, match="is damaged or no safetensors file"):
            ConceptVectors.open(file)


def test_a_file_that_is_missing_or_something_else_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no file of concept vectors"):
        ConceptVectors.open(tmp_path / "gone.safetensors")
    safetensors.torch.save_file({"values": torch.zeros(1)}, tmp_path / "other.safetensors")
    with pytest.raises(
        InputError, match="holds no concept vectors; its format should be 'introspect concept vectors 2'"
    ):
        ConceptVectors.open(tmp_path / "other.safetensors")
