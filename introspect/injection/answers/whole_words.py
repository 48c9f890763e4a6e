"""Options that begin with the same token, read as whole words, after every loop.

    log p(option) = log sum over its spellings of p(all its tokens | prompt), without what goes on to another option

Takes the rows of a cache in which prompts stand as they were run, injections included, and the tokens of the options.
Returns the log-probability of each option. All spellings of all trials are run on side by side, one token at a time.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import torch
from torch import Tensor

from introspect.injection.answers.answer_tokens import AnswerTokens, Tokens, in_float64
from introspect.injection.prefix.loop_ends import Ends
from introspect.injection.prefix.prefix import Prefix, inputs
from introspect.injection.step.injector import Injector
from introspect.models.row_cache import RowCache
from introspect.models.tap import Tap, Visit
from introspect.records.trial import Site, Trial

LogP = dict[Tokens, Tensor]
"""Log-probability of tokens in a row, after every loop: `(n_loops,)` in float64."""
ONE_IN = 4
"""One row goes on for every so many of a batch: theirs is a second cache, beside that of the answers."""
FAINTEST = 1e-300
"""A probability that is 0 up to rounding is read as this: a logarithm must be finite."""


@dataclass(frozen=True)
class Behind:
    """Prompts that were run, as rows of a cache."""

    tap: Tap
    prefix: Prefix
    cache: RowCache
    rows: Sequence[int]
    first: int
    """The first loop that an injection can have changed."""
    injector: Injector
    trials: Sequence[int]
    """The trial of each row, as the injector numbers them."""
    weights: Tensor | None

    def walk(self, paths: Sequence[tuple[int, Tokens]]) -> Iterator[list[Tensor]]:
        """Run tokens behind rows (by their place in `rows`), and yield the logits of each loop after each token.

        `paths` must come longest first: those that have ended drop out, so that the logits are `(those left, words)`.
        """
        looped, length, n_loops = self.tap.looped, self.prefix.length, self.prefix.n_loops
        cache = self.prefix.cache(len(paths), len(paths[0][1]))
        cache.aim(0, [0] * len(paths), length)
        cache.take(self.cache, [self.rows[place] for place, _ in paths], length)
        if looped.coda:  # what its blocks keep of read-outs before the injection is only in the prompt's own row
            begin = len(looped.sites(n_loops))
            clean = slice(begin, begin + min(self.first, n_loops - 1) * len(looped.coda))
            for mine, others in zip(cache.own, self.prefix.clean.own, strict=True):
                mine[clean, :, :, :length] = others[clean, :1, :, :length]
        for step in range(len(paths[0][1])):
            left = [(place, path) for place, path in paths if len(path) > step]
            yield self._step(cache, [place for place, _ in left], [path[step] for _, path in left], step)

    def _step(self, cache: RowCache, places: list[int], tokens: list[int], step: int) -> list[Tensor]:
        looped, prefix = self.tap.looped, self.prefix
        cache.aim(0, [prefix.length + step] * len(places), 1)
        ends = Ends(looped, prefix.n_loops, prefix.exit)
        visits = ends.watching(self._visits(places), looped.sites(prefix.n_loops))
        positions = [len(prefix.encoded.token_ids) + step] * len(places)
        arguments = inputs(self.tap, [[token] for token in tokens], positions, cache)
        output = self.tap.run(visits, n_loops=prefix.n_loops, **(arguments | prefix.exit_arguments))
        ends.ran(output)
        return ends.logits(0, cache, arguments["position_ids"], output.logits[:, -1])

    def _visits(self, places: list[int]) -> dict[Site, Visit]:
        if self.prefix.encoded.span_stop is not None:
            return {}
        injector = self.injector.of([self.trials[place] for place in places])
        last = None if self.weights is None else self.weights[places][:, -1:]  # of the span that goes on
        return injector.visits(range(len(places)), slice(0, 1), weights=last)


def in_whole_words(
    behind: Behind, said: Sequence[Tensor], options: Sequence[Sequence[tuple[Tokens, ...]]], capacity: int
) -> list[list[tuple[float, ...]]]:
    """Return the log-probability of each option of each row, `[row][loop][option]`.

    Args:
        behind: the prompts.
        said: what is said after them, `(row, vocabulary)` for each loop.
        options: for each row and option the tokens of its spellings.
        capacity: the rows of the batch that this stands beside.
    """
    spelled = [dict.fromkeys(tokens for spellings in each for tokens in spellings) for each in options]
    found: list[LogP] = [{} for _ in options]
    for row, wanted in enumerate(spelled):
        _note(found[row], (), wanted, [logits[row] for logits in said])
    paths = sorted(
        ((row, path) for row, wanted in enumerate(spelled) for path in _longest(wanted)),
        key=lambda each: (-len(each[1]), each),
    )
    chunks = iter(paths)
    while chunk := list(islice(chunks, max(1, capacity // ONE_IN))):
        for step, logits in enumerate(behind.walk(chunk)):
            for place, (row, path) in enumerate(each for each in chunk if len(each[1]) > step):
                _note(found[row], path[: step + 1], spelled[row], [of_loop[place] for of_loop in logits])
    return [_of_options(each, among) for each, among in zip(found, options, strict=True)]


def shares_first(answers: AnswerTokens, trial: Trial) -> bool:
    """Say whether the concept's first token is another option's too, so that its rank says nothing of the concept."""
    own = set(answers.first(trial.concept))
    others = (option for option in trial.options if option.casefold() != trial.concept.casefold())
    return any(own & set(answers.first(option)) for option in others)


def _longest(wanted: dict[Tokens, None]) -> list[Tokens]:
    """List what must be run: all tokens but the last of each spelling, where no other one runs them anyway."""
    begun = {tokens[:-1] for tokens in wanted if len(tokens) > 1}
    return [path for path in begun if not any(other != path and other[: len(path)] == path for other in begun)]


def _note(found: LogP, path: Tokens, wanted: dict[Tokens, None], logits: Sequence[Tensor]) -> None:
    """Take down how probable each token is that goes on from a path to a spelling, given `(vocabulary,)` a loop."""
    nexts = {tokens[len(path)] for tokens in wanted if len(tokens) > len(path) and tokens[: len(path)] == path}
    nexts -= {tokens[-1] for tokens in found if len(tokens) == len(path) + 1 and tokens[:-1] == path}
    if not nexts:
        return
    log_p = torch.stack([in_float64(each).log_softmax(-1)[sorted(nexts)].cpu() for each in logits])
    for column, token in enumerate(sorted(nexts)):
        found[(*path, token)] = log_p[:, column] + (found[path] if path else 0.0)


def _of_options(found: LogP, options: Sequence[tuple[Tokens, ...]]) -> list[tuple[float, ...]]:
    """Return the log-probability of each option, by loop; no probability is counted twice.

    What goes on to another spelling is that one's alone; a spelling of several options is divided among them.
    """
    spelled = {tokens for spellings in options for tokens in spellings}
    owners = {tokens: sum(tokens in spellings for spellings in options) for tokens in spelled}
    alone = {}
    for tokens in spelled:
        longer = [each for each in spelled if len(each) > len(tokens) and each[: len(tokens)] == tokens]
        next_ones = [each for each in longer if not any(_between(tokens, other, each) for other in longer)]
        gone = sum((found[each].exp() for each in next_ones), start=torch.zeros_like(found[tokens]))
        alone[tokens] = (found[tokens].exp() - gone).clamp(min=0) / owners[tokens]
    of = [sum((alone[each] for each in spellings), start=torch.tensor(0.0)) for spellings in options]
    return [tuple(numbers) for numbers in torch.stack(of, dim=1).clamp(min=FAINTEST).log().tolist()]


def _between(tokens: Tokens, other: Tokens, longer: Tokens) -> bool:
    return len(tokens) < len(other) < len(longer) and longer[: len(other)] == other
