"""The injection span is found in tokens exactly, whatever the chat format and the tokenizer do."""

import random
import re
from importlib.resources import as_file, files

import pytest
from tiny import tiny_tokenizer
from tokenizers import processors
from transformers import PreTrainedTokenizerFast

from introspect.errors import InputError
from introspect.prompts import Encoded, Template, encode, render, template_named, template_names

VALUES = {
    "answer": "bread",
    "word": "dust",
    "text": "What is dust?",
    "question": "Is ice cold?",
    "said": "Dust",
    "sentence": "A boy ran across the road.",
    "first": "We had dinner at six.",
    "second": "The office opens at nine.",
    "sentences": "We had dinner at six.\nThe office opens at nine.",
    "position": "2",
    "question_kind": "longest",
    "options": "dust\nsnow",
    "instruction": "Think about dust.",
}
"""What fills in all shipped templates."""
WORDS = [
    "dust",
    "Trial 1",
    "  two  blanks ",
    "naïve café",
    "静かな海",
    "👩‍🚀🌊",
    "a\tb",
    "\n\nnext",
    "e\u0301",
    "\u00a0",
    "?!",
    "I",
]


def trimming_tokenizer() -> PreTrainedTokenizerFast:
    """Leave leading blanks out of the offsets, as GPT-2's and SmolLM2's tokenizers do."""
    tokenizer = tiny_tokenizer()
    tokenizer.backend_tokenizer.post_processor = processors.ByteLevel(trim_offsets=True)
    return tokenizer


def shipped_tokenizers() -> dict[str, PreTrainedTokenizerFast]:
    organisms = files("introspect.models") / "organisms"
    found = (
        [folder for folder in organisms.iterdir() if (folder / "tokenizer.json").is_file()]
        if organisms.is_dir()
        else []
    )
    tokenizers = {}
    for folder in found:
        with as_file(folder) as path:
            tokenizers[folder.name] = PreTrainedTokenizerFast.from_pretrained(path)
    return tokenizers


TOKENIZERS = {"tiny": tiny_tokenizer(), "trimming": trimming_tokenizer(), **shipped_tokenizers()}
any_tokenizer = pytest.mark.parametrize("tokenizer", TOKENIZERS.values(), ids=TOKENIZERS)


def encoded(source: str, tokenizer: PreTrainedTokenizerFast, **variables: object) -> Encoded:
    return encode(render(Template("mine", source), **variables), tokenizer)


def span(of: Encoded, tokenizer: PreTrainedTokenizerFast) -> str:
    return str(tokenizer.decode(of.token_ids[of.span_start : of.span_stop]))


def by_bytes(of: Encoded, tokenizer: PreTrainedTokenizerFast, first: int, last: int) -> list[int]:
    """Find the tokens that hold a byte of the characters first..last: a byte-level token spells one byte a letter."""
    low, high = len(of.text[:first].encode()), len(of.text[:last].encode())
    inside, at = [], 0
    for index, token in enumerate(tokenizer.convert_ids_to_tokens(list(of.token_ids))):
        if at < high and at + len(token) > low:
            inside.append(index)
        at += len(token)
    assert at == len(of.text.encode())
    return inside


@any_tokenizer
@pytest.mark.parametrize("name", template_names())
def test_the_spans_of_every_shipped_template_decode_to_the_marked_text(
    name: str, tokenizer: PreTrainedTokenizerFast
) -> None:
    filled = template_named(name).fill(**VALUES)
    found = encode(render(template_named(name), **VALUES), tokenizer, need_span=False)
    assert tokenizer.decode(found.token_ids) == found.text
    marked = re.findall(r"<<inject>>(.*?)(<</inject>>|\Z)", filled, re.DOTALL)
    if not marked:
        assert (found.spans, found.marked) == ([(len(found.token_ids), len(found.token_ids))], found.text)
        return
    answer = "" if filled.rpartition("<<user>>")[2].count("<<assistant>>") else "<|im_end|>\n<|im_start|>assistant\n"
    begun = "<|im_end|>\n<|im_start|>assistant\n"  # of an answer that the template itself begins
    texts = [text.strip("\n").replace("\n<<assistant>>\n", begun) + ("" if end else answer) for text, end in marked]
    assert [str(tokenizer.decode(found.token_ids[first:stop])).lstrip(" ") for first, stop in found.spans] == texts
    assert (found.span_stop is None) is not bool(marked[-1][1])


@any_tokenizer
def test_each_of_two_spans_is_found_and_what_lies_between_is_in_neither(tokenizer: PreTrainedTokenizerFast) -> None:
    found = encoded("<<user>>\nA:<<inject>> one<</inject>>\nB:<<inject>> two<</inject>>\nC", tokenizer)
    assert [tokenizer.decode(found.token_ids[first:stop]) for first, stop in found.spans] == [" one", " two"]
    ((before, after),) = found.gaps
    assert tokenizer.decode(found.token_ids[before:after]) == "\nB:"
    assert found.marked.count("<<inject>>") == found.marked.count("<</inject>>") == 2
    assert found.marked.replace("<<inject>>", "").replace("<</inject>>", "") == found.text


@any_tokenizer
def test_the_last_of_several_spans_may_go_on_through_the_answer(tokenizer: PreTrainedTokenizerFast) -> None:
    found = encoded("<<user>>\nA:<<inject>> one<</inject>>\nB:<<inject>> two", tokenizer)
    (_, first), (second, stop) = found.spans
    assert (stop, found.span_stop) == (None, None)
    assert tokenizer.decode(found.token_ids[second:]) == " two<|im_end|>\n<|im_start|>assistant\n"
    assert found.gaps == ((first, second),)


def test_two_spans_that_share_a_token_are_refused() -> None:
    with pytest.raises(InputError, match="two injection spans share a token; put more between them"):
        encoded("<<user>>\na <<inject>>tho<</inject>>u<<inject>>ght<</inject>>", TOKENIZERS["tiny"])


@any_tokenizer
def test_the_span_is_exactly_the_tokens_that_hold_a_byte_of_it(tokenizer: PreTrainedTokenizerFast) -> None:
    rng = random.Random(0)
    for _ in range(150):
        text = "x" + " ".join(rng.choices(WORDS, k=8)) + "x"
        first, last = sorted(rng.sample(range(len(text)), 2))
        marked = f"{text[:first]}<<inject>>{text[first:last]}<</inject>>{text[last:]}"
        found = encoded(f"<<system>>\nBe brief.\n<<user>>\n{marked}\n<<assistant>>\nOh", tokenizer)
        at = found.text.index(text)
        inside = by_bytes(found, tokenizer, at + first, at + last)
        assert list(range(found.span_start, found.span_stop or 0)) == inside, marked


@any_tokenizer
def test_without_an_end_mark_the_span_goes_on_through_the_answer(tokenizer: PreTrainedTokenizerFast) -> None:
    found = encoded("<<user>>\nOne.<<inject>>\nTwo.", tokenizer)
    assert found.span_stop is None
    assert span(found, tokenizer) == "\nTwo.<|im_end|>\n<|im_start|>assistant\n"
    assert found.marked == "<|im_start|>user\nOne.<<inject>>\nTwo.<|im_end|>\n<|im_start|>assistant\n"


@any_tokenizer
def test_a_span_may_reach_over_several_messages(tokenizer: PreTrainedTokenizerFast) -> None:
    found = encoded("<<user>>\nOne<<inject>>!\n<<assistant>>\nTwo.\n<<user>>\n?<</inject>> Three", tokenizer)
    assert span(found, tokenizer) == "!<|im_end|>\n<|im_start|>assistant\nTwo.<|im_end|>\n<|im_start|>user\n?"


@any_tokenizer
def test_a_last_message_of_the_assistant_is_left_open(tokenizer: PreTrainedTokenizerFast) -> None:
    found = encoded("<<user>>\nWhich word?\n<<assistant>>\nIt is<<inject>> about", tokenizer)
    assert found.text == "<|im_start|>user\nWhich word?<|im_end|>\n<|im_start|>assistant\nIt is about"
    assert span(found, tokenizer).strip() == "about"


def test_a_token_that_straddles_the_edge_is_in_the_span_and_shown_whole() -> None:
    tokenizer = TOKENIZERS["trimming"]
    assert tokenizer.tokenize("a thought") == ["a", "Ġthought"]
    found = encoded("<<user>>\na <<inject>>tho<</inject>>ught", tokenizer)
    assert span(found, tokenizer) == " thought"
    assert "a<<inject>> thought<</inject>><|im_end|>" in found.marked
    blank = encoded("<<user>>\na<<inject>> <</inject>>thought", tokenizer)
    assert span(blank, tokenizer) == " thought"


def test_characters_that_serve_as_marks_may_stand_in_the_text() -> None:
    tokenizer = TOKENIZERS["tiny"]
    found = encoded("<<user>>\n\ue000\ue001<<inject>>\ue000b<</inject>>c\ue001", tokenizer)
    assert span(found, tokenizer) == "\ue000b"


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ("<<user>>\nhello", "template 'mine' has no injection span; write <<inject>> where it begins"),
        ("<<user>>\na<<inject>><</inject>>b", "the injection span covers no token"),
        ("<<user>>\na\n<<assistant>>\nb<<inject>>", "the injection span covers no token"),
    ],
)
def test_a_span_without_tokens_is_refused(source: str, why: str) -> None:
    with pytest.raises(InputError, match=why):
        encoded(source, TOKENIZERS["tiny"])


@pytest.mark.parametrize(
    "content", ["message.content | trim", "message.content | replace('\ue000', '')", "message.content[:5]", "'fixed'"]
)
def test_a_chat_format_that_changes_the_marked_text_is_refused(content: str) -> None:
    tokenizer = tiny_tokenizer()
    tokenizer.chat_template = "{% for message in messages %}{{ " + content + " }}{% endfor %}"
    with pytest.raises(InputError, match="drops or changes text at the injection span of template 'mine'"):
        encoded("<<user>>\nI think so.<<inject>> ", tokenizer)


def test_a_tokenizer_without_a_chat_format_or_that_refuses_the_roles_is_refused() -> None:
    tokenizer = tiny_tokenizer()
    tokenizer.chat_template = "{{ raise_exception('only users speak') }}"
    with pytest.raises(InputError, match=r"'mine' in the chat format of .*: only users speak"):
        encoded("<<user>>\n<<inject>>a", tokenizer)
    tokenizer.chat_template = None
    with pytest.raises(InputError, match="has no chat template"):
        encoded("<<user>>\n<<inject>>a", tokenizer)
