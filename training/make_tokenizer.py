"""Make the organisms' tokenizer: byte-level BPE with ChatML, in which every concept word is one token.

Run: python -m training.make_tokenizer FOLDER
"""

import random
import sys
from pathlib import Path

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from training.dialogues import ANSWERS, framing_texts
from training.language import chats, words

SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
CHATML = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def make(vocab_size: int, seed: int = 0) -> PreTrainedTokenizerFast:
    """Train the tokenizer on the language and on the framings; the same seed gives the same file."""
    everything, rng = words(seed), random.Random(seed)
    lines = [line for pair in chats(everything, rng, 20_000) for line in pair]
    lines += [f" {w.text} {w.text.capitalize()}" for w in everything for _ in range(200)]
    lines += (framing_texts() + list(ANSWERS) + ["user\nassistant\nsystem\n"]) * 300
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size, special_tokens=SPECIAL, initial_alphabet=sorted(alphabet), show_progress=False
    )
    tokenizer.train_from_iterator(lines, trainer)
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=SPECIAL[1],
        eos_token=SPECIAL[2],
        pad_token=SPECIAL[0],
        padding_side="left",
    )
    fast.chat_template = CHATML
    return fast


def word_ids(tokenizer: PreTrainedTokenizerFast, seed: int = 0) -> list[int]:
    """Return the tokens of the concept words, as they stand in a sentence and at its start; each must be one token."""
    ids = []
    for word in words(seed):
        for form in (f" {word.text}", word.text.capitalize()):
            tokens = tokenizer(form, add_special_tokens=False)["input_ids"]
            assert len(tokens) == 1, f"{form!r} is {len(tokens)} tokens; make the vocabulary larger"
            ids.append(tokens[0])
    return ids


if __name__ == "__main__":
    tokenizer = make(vocab_size=2304)
    word_ids(tokenizer)
    tokenizer.save_pretrained(Path(sys.argv[1]))
    print(f"{len(tokenizer)} tokens -> {sys.argv[1]}")
