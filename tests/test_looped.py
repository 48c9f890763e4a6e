"""LoopedModel: what the rest of the package relies on, whatever the family."""

import copy

import pytest
import torch
from oracle import hooked
from tiny import tiny_model, tiny_tokenizer
from tokenizers.processors import TemplateProcessing
from transformers import PreTrainedTokenizerFast

from introspect.errors import InputError
from introspect.families.ouro.adapter import OuroLooped
from introspect.models.looped_model import SiteError
from introspect.records.trial import Site

IDS = torch.tensor([[5, 60, 70, 80], [9, 8, 7, 6]])
MESSAGES = [{"role": "user", "content": "Do you notice?"}, {"role": "assistant", "content": "Yes"}]


def test_sites_are_listed_in_the_order_in_which_their_blocks_run() -> None:
    looped, ran = tiny_model(n_layers=3, n_loops=2), []
    with hooked(looped, {site: lambda _, site=site: ran.append(site) for site in looped.sites(4)}):
        looped.model(IDS, **looped.forward_arguments(4))
    assert ran == looped.sites(4)
    assert len(ran) == 12
    assert looped.sites() == looped.sites(2)


@pytest.mark.parametrize("site", [Site(4, 0), Site(0, 2), Site(-1, 0), Site(0, -1)])
def test_a_site_outside_the_loops_run_cannot_be_located(site: Site) -> None:
    with pytest.raises(SiteError, match=f"site {site}"):
        tiny_model().locate(site, 4)


def test_a_site_beyond_the_trained_loops_can_be_located_when_they_are_run() -> None:
    looped = tiny_model(n_loops=2)
    assert looped.locate(Site(3, 1), 4) == (looped.blocks[1], 3)


@torch.no_grad()
def test_the_readout_after_a_loop_is_what_a_model_of_so_many_loops_says() -> None:
    looped, outputs = tiny_model(n_loops=4), []
    last = looped.n_layers - 1
    with hooked(looped, {Site(loop, last): lambda h: outputs.append(h.clone()) for loop in range(6)}):
        looped.model(IDS, **looped.forward_arguments(6))
    for loop, state in enumerate(outputs):
        logits = looped.model(IDS, **looped.forward_arguments(loop + 1)).logits
        assert torch.equal(looped.readout(state), logits)
    assert len(outputs) == 6


def test_fewer_loops_than_one_are_refused() -> None:
    with pytest.raises(InputError, match="0"):
        tiny_model().forward_arguments(0)


@pytest.mark.parametrize("n_loops", [1, 3, 5])
def test_the_bytes_of_a_token_are_those_that_the_cache_holds(n_loops: int) -> None:
    looped = tiny_model(dtype=torch.bfloat16)
    cache = looped.new_cache()
    looped.model(IDS, past_key_values=cache, **looped.forward_arguments(n_loops))
    held = sum(layer.keys.nbytes + layer.values.nbytes for layer in cache.layers)
    assert looped.bytes_per_token(n_loops) == held / IDS.numel()


def test_a_chat_ends_in_the_opening_of_an_answer_and_continues_an_open_one() -> None:
    looped = tiny_model()
    question = "<|im_start|>user\nDo you notice?<|im_end|>\n<|im_start|>assistant\n"
    assert looped.chat(MESSAGES[:1]) == question
    assert looped.chat(MESSAGES, continue_=True) == question + "Yes"


def test_a_tokenizer_without_a_chat_template_writes_a_plain_dialogue() -> None:
    looped = without_template(tiny_tokenizer())
    assert looped.chat_format == "plain"
    assert looped.chat(MESSAGES[:1]) == "User: Do you notice?\nAssistant:"
    assert looped.chat(MESSAGES, continue_=True) == "User: Do you notice?\nAssistant: Yes"


def test_a_plain_dialogue_begins_as_the_tokenizer_begins_a_text() -> None:
    tokenizer = tiny_tokenizer()
    start = tokenizer.bos_token
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
        single=f"{start} $A", special_tokens=[(start, tokenizer.bos_token_id)]
    )
    looped = without_template(tokenizer)
    assert looped.chat_format == "plain"
    assert looped.chat(MESSAGES[:1]) == f"{start}User: Do you notice?\nAssistant:"


def test_the_format_of_a_chat_has_a_name() -> None:
    looped = tiny_model()
    assert looped.chat_format == "chatml"
    looped.tokenizer.chat_template = "{% for message in messages %}[INST] {{ message.content }} [/INST]{% endfor %}"
    assert looped.chat_format == "the tokenizer's"


def without_template(tokenizer: PreTrainedTokenizerFast) -> OuroLooped:
    tokenizer.chat_template = None
    return OuroLooped("bare", tiny_model().model, tokenizer)


def test_an_answer_ends_at_the_end_of_a_turn_or_of_the_text() -> None:
    looped = tiny_model()
    assert looped.tokenizer.convert_ids_to_tokens(looped.end_of_turn) == ["<|endoftext|>", "<|im_end|>"]
    assert looped.pad_id == looped.tokenizer.convert_tokens_to_ids("<|endoftext|>")


def test_the_hash_is_that_of_the_content_alone() -> None:
    looped = tiny_model(seed=3)
    looped.tokenizer(["a", "a longer text"], padding=True, truncation=True, max_length=3)
    assert looped.weights_hash == tiny_model(seed=3).weights_hash
    assert looped.weights_hash != tiny_model(seed=4).weights_hash


def test_the_hash_changes_with_one_weight_one_setting_or_the_chat_template() -> None:
    hashes = {tiny_model().weights_hash}
    changed = tiny_model()
    with torch.no_grad():
        changed.model.model.norm.weight[0] += 1e-6
    hashes.add(changed.weights_hash)
    hashes.add(tiny_model(rope_theta=10.0).weights_hash)
    hashes.add(tiny_model(n_loops=5).weights_hash)
    retold = tiny_model()
    retold.tokenizer.chat_template += " "
    hashes.add(retold.weights_hash)
    assert len(hashes) == 5


@torch.no_grad()
def test_a_copied_cache_leaves_the_original_as_it_was() -> None:
    looped, cache = tiny_model(), tiny_model().new_cache()
    looped.model(IDS[:1], past_key_values=cache)
    copied = copy.deepcopy(cache)
    copied.batch_repeat_interleave(3)
    looped.model(IDS[:1, :1].repeat(3, 1), past_key_values=copied)
    assert (cache.get_seq_length(), copied.get_seq_length()) == (4, 5)


def test_the_tiny_tokenizer_encodes_any_text() -> None:
    text = "Zażółć \N{SNOWMAN} <b>\t\n1234"
    tokenizer = tiny_tokenizer()
    assert tokenizer.decode(tokenizer(text).input_ids) == text
