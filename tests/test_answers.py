"""Read-outs of yes and no: the tokens that spell them, and the numbers read after each loop."""

import math

import pytest
import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from transformers import PreTrainedTokenizerFast

from introspect.errors import InputError
from introspect.injection.answers import AnswerTokens, answer_tokens, read
from tests.injected import bench, responses
from tests.tiny import tiny_tokenizer


def tokenizer(*words: str) -> PreTrainedTokenizerFast:
    vocabulary = {word: i for i, word in enumerate(words)}
    return PreTrainedTokenizerFast(tokenizer_object=Tokenizer(WordLevel(vocabulary, words[0])), name_or_path="made")


def test_all_spellings_are_found_and_nothing_that_only_begins_like_them() -> None:
    made = tokenizer("Yes", "yesterday", " yes", "YES\n", "not", "no", "know", "\tNo", "yes.", "noo")
    assert answer_tokens(made) == AnswerTokens(yes=(0, 2, 3), no=(5, 7))


def test_each_token_found_decodes_to_its_word() -> None:
    made = tiny_tokenizer()
    found = answer_tokens(made)
    for word, tokens in (("yes", found.yes), ("no", found.no)):
        assert {made.decode([token]).strip().casefold() for token in tokens} == {word}


@pytest.mark.parametrize(("words", "missing"), [(("yes", "maybe"), "no"), (("no", "yesterday"), "yes")])
def test_a_tokenizer_without_yes_or_no_is_refused_by_name(words: tuple[str, str], missing: str) -> None:
    with pytest.raises(InputError, match=f"tokenizer 'made' has no single token for '{missing}'"):
        answer_tokens(tokenizer(*words))


def test_the_numbers_of_a_known_distribution() -> None:
    p = torch.tensor([0.5, 0.125, 0.125, 0.25], dtype=torch.float64)
    readout = read((p.log() + 3)[None].float(), AnswerTokens(yes=(1, 2), no=(3,)), loop=2)[0]
    assert readout.loop == 2
    assert readout.logit_yes == pytest.approx(math.log(0.25) + 3, abs=1e-6)
    assert readout.logit_no == pytest.approx(math.log(0.25) + 3, abs=1e-6)
    assert readout.mass == pytest.approx(0.5, abs=1e-6)
    assert readout.entropy == pytest.approx(1.75 * math.log(2), abs=1e-6)


def test_a_certain_distribution_has_no_entropy_and_no_nan() -> None:
    readout = read(torch.tensor([[0.0, 5000.0, 1.0]]), AnswerTokens(yes=(1,), no=(2,)), loop=0)[0]
    assert (readout.mass, readout.entropy) == (1.0, 0.0)


def test_the_last_loops_readout_is_that_of_the_models_own_logits() -> None:
    on = bench()
    encoded = on.prompts["open"]
    for n_loops in (1, 2, 4):
        with torch.no_grad():
            arguments = on.looped.forward_arguments(n_loops)
            logits = on.looped.model(input_ids=torch.tensor([encoded.token_ids]), **arguments).logits[:, -1]
        response = responses(on.engine.run([on.trial(n_loops=n_loops)]))[0]
        assert [readout.loop for readout in response.readouts] == list(range(n_loops))
        own = read(logits, on.engine.answers, n_loops - 1)[0]
        assert response.readouts[-1].logit_yes == pytest.approx(own.logit_yes, abs=1e-4)
        assert response.readouts[-1].logit_no == pytest.approx(own.logit_no, abs=1e-4)
        assert response.readouts[-1].entropy == pytest.approx(own.entropy, abs=1e-4)
