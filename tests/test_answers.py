"""Read-outs: the tokens with which answers begin, and the numbers read after each loop."""

import math

import pytest
import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from transformers import PreTrainedTokenizerFast

from introspect.errors import InputError
from introspect.injection.answers.answer_tokens import AnswerTokens, read
from introspect.injection.engine.engine import prompt_key
from tests.injected import bench, responses
from tests.made import trial
from tests.tiny import tiny_tokenizer


def tokenizer(*words: str) -> PreTrainedTokenizerFast:
    vocabulary = {word: i for i, word in enumerate(words)}
    return PreTrainedTokenizerFast(tokenizer_object=Tokenizer(WordLevel(vocabulary, words[0])), name_or_path="made")


SPELLED = [lead + form for word in ("dust", "snow") for form in (word, word.capitalize()) for lead in ("", " ")]
WORDS = ("Yes", " no", *SPELLED)


def test_all_spellings_are_found_and_nothing_that_only_begins_like_them() -> None:
    made = AnswerTokens(tokenizer("Yes", "yesterday", " yes", "YES\n", "not", "no", "know", "\tNo", "yes.", "noo"))
    assert (made.yes, made.no) == ((0, 2, 3), (5, 7))


def test_each_token_found_decodes_to_its_word() -> None:
    made = tiny_tokenizer()
    found = AnswerTokens(made)
    for word, tokens in (("yes", found.yes), ("no", found.no)):
        assert {made.decode([token]).strip().casefold() for token in tokens} == {word}


@pytest.mark.parametrize(("words", "missing"), [(("yes", "maybe"), "no"), (("no", "yesterday"), "yes")])
def test_a_tokenizer_without_yes_or_no_is_refused_by_name(words: tuple[str, str], missing: str) -> None:
    with pytest.raises(InputError, match=f"tokenizer 'made' has no single token for '{missing}'"):
        AnswerTokens(tokenizer(*words))


@pytest.mark.parametrize("word", ["bread", "Bread", "thought", "snow", "1", "meant"])
def test_the_first_tokens_of_a_word_are_those_with_which_its_spellings_begin(word: str) -> None:
    made = tiny_tokenizer()
    found = AnswerTokens(made).first(word)
    begun = {made(text)["input_ids"][0] for text in (word, word.capitalize(), f" {word}", f" {word.capitalize()}")}
    assert set(found) == {token for token in begun if made.decode([token]).strip()}
    assert len(set(found)) == len(found) > 0


def test_the_numbers_of_a_known_distribution() -> None:
    p = torch.tensor([0.25, 0.25, 0.125, 0.125, 0.0625, 0.0625, 0.03125, 0.03125, 0.03125, 0.03125])
    of = trial(options=("dust", "snow"), concept="snow")
    readout = read((p.log() + 3)[None], AnswerTokens(tokenizer(*WORDS)), 2, [of])[0]
    assert readout.loop == 2
    assert readout.logit_yes == pytest.approx(math.log(0.25) + 3, abs=1e-6)
    assert readout.logit_no == pytest.approx(math.log(0.25) + 3, abs=1e-6)
    assert readout.mass == pytest.approx(0.5, abs=1e-6)
    assert readout.entropy == pytest.approx(-(p * p.log()).sum().item(), abs=1e-6)
    assert readout.options == pytest.approx((math.log(0.375), math.log(0.125)), abs=1e-6)
    assert readout.concept_rank == 6


def test_each_row_is_read_for_its_own_trial() -> None:
    of = [trial(concept="dust"), trial(concept="snow", options=("snow",)), trial(concept="snow")]
    logits = torch.arange(10.0).repeat(3, 1)
    rows = read(logits, AnswerTokens(tokenizer(*WORDS)), 0, of)
    assert [row.concept_rank for row in rows] == [4, 0, 0]
    assert [len(row.options) for row in rows] == [0, 1, 0]
    assert rows[1].options[0] == pytest.approx(logits[0].log_softmax(-1)[6:].logsumexp(-1).item(), abs=1e-6)


def test_the_rank_is_that_of_the_likeliest_spelling() -> None:
    made = tiny_tokenizer()
    answers = AnswerTokens(made)
    logits = torch.zeros(1, len(made))
    logits[0, list(answers.first("bread"))[-1]] = 1.0
    assert read(logits, answers, 0, [trial(concept="bread")])[0].concept_rank == 0


def test_a_certain_distribution_has_no_entropy_and_no_nan() -> None:
    readout = read(torch.tensor([[5000.0, *range(9)]]), AnswerTokens(tokenizer(*WORDS)), 0, [trial()])[0]
    assert (readout.mass, readout.entropy) == (1.0, 0.0)


def test_the_last_loops_readout_is_that_of_the_models_own_logits() -> None:
    on = bench()
    encoded = on.prompts[prompt_key(on.trial())]
    for n_loops in (1, 2, 4):
        with torch.no_grad():
            arguments = on.looped.forward_arguments(n_loops)
            logits = on.looped.model(input_ids=torch.tensor([encoded.token_ids]), **arguments).logits[:, -1]
        of = on.trial(n_loops=n_loops)
        response = responses(on.engine.run([of]))[0]
        assert [readout.loop for readout in response.readouts] == list(range(n_loops))
        own = read(logits, on.engine.answers, n_loops - 1, [of])[0]
        assert response.readouts[-1].logit_yes == pytest.approx(own.logit_yes, abs=1e-4)
        assert response.readouts[-1].logit_no == pytest.approx(own.logit_no, abs=1e-4)
        assert response.readouts[-1].entropy == pytest.approx(own.entropy, abs=1e-4)
        assert response.readouts[-1].concept_rank == own.concept_rank
