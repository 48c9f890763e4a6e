"""Concept vectors are contrasts of the states that plain forward passes have."""

from pathlib import Path

import pytest
import torch
from oracle import hooked
from tiny import tiny_model
from torch import Tensor

from introspect.concepts.contrast_prompts import baseline_contrast
from introspect.concepts.extraction import cached, extract, extract_pairs, manifest_of, measure
from introspect.concepts.pairs import load_pairs
from introspect.concepts.vectors import ConceptVectors
from introspect.errors import InputError
from introspect.models.tap import Tap
from introspect.records.trial import Site

WORDS = ["Dust", "the quiet sea"]
BASELINE = ["fog", "Dust", "avalanches and more", "snow"]
ROUNDING = {"rtol": 1e-4, "atol": 1e-5}
"""Of float32: padding changes the order in which attention adds up; states here are of size 1 to 10."""

tap = Tap(tiny_model())


def state(text: str, site: Site, n_loops: int = 3) -> Tensor:
    """Return the state at the last token of one prompt, run alone and untraced."""
    looped = tap.looped
    ids = torch.tensor([looped.tokenizer(looped.chat([{"role": "user", "content": text}]))["input_ids"]])
    seen: list[Tensor] = []
    with hooked(looped, {site: lambda h: seen.append(h[0, -1].detach().clone())}), torch.no_grad():
        looped.model(input_ids=ids, **looped.forward_arguments(n_loops))
    return seen[0]


def test_a_vector_is_the_state_of_its_prompt_minus_the_mean_over_the_other_baseline_words() -> None:
    vectors = extract(tap, WORDS, BASELINE)
    assert vectors.words == tuple(WORDS)
    assert vectors.values.shape == (2, 3, 2, 32)
    for site in tap.looped.sites():
        about = {word: state(f"Tell me about {word.lower()}.", site) for word in [*WORDS, *BASELINE]}
        others = [torch.stack([about[word] for word in BASELINE if word != own]).mean(0) for own in WORDS]
        torch.testing.assert_close(vectors.at("dust", site), about["Dust"] - others[0], **ROUNDING)
        torch.testing.assert_close(vectors.at(WORDS[1], site), about[WORDS[1]] - others[1], **ROUNDING)


def test_a_pair_vector_is_the_mean_over_its_pairs_of_positive_minus_negative() -> None:
    pairs = load_pairs("pairs")
    vectors = extract_pairs(tap, ["sugar", "Snow"], pairs)
    for site in tap.looped.sites():
        differences = [state(pair.positive, site) - state(pair.negative, site) for pair in pairs.of("snow")]
        torch.testing.assert_close(vectors.at("snow", site), torch.stack(differences).mean(0), **ROUNDING)


def test_the_batch_size_does_not_matter() -> None:
    alone, together = extract(tap, WORDS, BASELINE, batch_size=1), extract(tap, WORDS, BASELINE)
    torch.testing.assert_close(alone.values, together.values, **ROUNDING)
    assert not torch.allclose(together.values[0], together.values[1], atol=0.1)


def test_more_loops_than_trained_can_be_recorded() -> None:
    vectors = extract(tap, WORDS, BASELINE, n_loops=5)
    assert (vectors.n_loops, vectors.manifest["n_loops"]) == (5, 5)
    about = [state(f"Tell me about {word}.", Site(4, 1), 5) for word in ("dust", "fog", "avalanches and more", "snow")]
    torch.testing.assert_close(vectors.at("dust", Site(4, 1)), about[0] - torch.stack(about[1:]).mean(0), **ROUNDING)


def test_a_model_in_double_precision_gives_the_same_vectors_as_float32() -> None:
    double = Tap(tiny_model(dtype=torch.float64))
    vectors = extract(double, WORDS, BASELINE)
    assert vectors.values.dtype == torch.float32
    torch.testing.assert_close(vectors.values, extract(tap, WORDS, BASELINE).values, **ROUNDING)


def test_the_manifest_says_what_made_the_vectors() -> None:
    manifest = extract(tap, WORDS, BASELINE).manifest
    assert manifest == manifest_of(tap, baseline_contrast(WORDS, BASELINE))
    assert manifest["method"] == "baseline"
    assert (manifest["template"], len(manifest["template_hash"])) == ("tell_me_about", 16)
    assert (manifest["model"], manifest["weights_hash"]) == ("tiny", tap.looped.weights_hash)
    assert (manifest["words"], manifest["baseline"]) == (WORDS, [word.lower() for word in BASELINE])
    assert (manifest["dtype"], manifest["n_loops"]) == ("float32", 3)


def test_the_same_vectors_are_extracted_once_and_others_anew(tmp_path: Path) -> None:
    made: list[str] = []

    def kept(words: list[str]) -> ConceptVectors:
        contrast = baseline_contrast(words, BASELINE)

        def make() -> ConceptVectors:
            made.append(words[-1])
            return measure(tap, contrast)

        return cached(tmp_path, manifest_of(tap, contrast), make)

    first, again, other = kept(WORDS), kept(WORDS), kept(WORDS[:1])
    assert len(made) == len(list(tmp_path.iterdir())) == 2
    assert first.hash == again.hash != other.hash
    assert torch.equal(first.values, again.values)


def test_a_kept_file_that_is_not_what_its_name_says_is_refused(tmp_path: Path) -> None:
    one, other = (extract(tap, words, BASELINE) for words in (WORDS, WORDS[:1]))
    cached(tmp_path, one.manifest, lambda: one)
    (path,) = tmp_path.iterdir()
    other.save(path)
    with pytest.raises(InputError, match="holds other concept vectors than its name says"):
        cached(tmp_path, one.manifest, lambda: one)
