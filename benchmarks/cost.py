"""On paper: what the full sweep of a published model costs on GPUs, and what limits it.

    python -m benchmarks.cost [--rows 256] [--gpus 64]

Goes in: shapes, a plan, assumptions about the machine. Comes out: trials, bytes and FLOPs, seconds, GPU hours. The
design that is counted is the engine's: the tokens before the span are run once and their keys and values are read
once a step for all rows; a row's own are those of span and answer; a prefill goes on behind the injected site, which
on average leaves half of the blocks; the arm none has no prefill of its own.
"""

from dataclasses import dataclass, replace

import typer

from benchmarks.cards import CARDS, Machine
from benchmarks.timing import OUT, show


@dataclass(frozen=True)
class Shape:
    """A published model, in the Ouro layout with as many key-value heads as heads."""

    name: str
    n_layers: int
    n_loops: int = 4
    width: int = 2048
    hidden: int = 5632
    """Width of the feed-forward part."""
    vocabulary: int = 49152
    number: int = 2
    """Bytes of a number: bfloat16."""

    @property
    def blocks(self) -> int:
        """Count the blocks run in a forward."""
        return self.n_layers * self.n_loops

    @property
    def block_weights(self) -> int:
        """Count the weights of one block's matrices."""
        return 4 * self.width**2 + 3 * self.width * self.hidden

    @property
    def head_weights(self) -> int:
        """Count the weights of the read-out."""
        return self.width * self.vocabulary

    @property
    def token_bytes(self) -> int:
        """Return the bytes of keys and values of one token."""
        return self.blocks * 2 * self.width * self.number


@dataclass(frozen=True)
class Plan:
    """The full sweep: every site, concept, strength and arm."""

    prefix: int = 150
    """Tokens before the injection span."""
    span: int = 25
    new_tokens: int = 60
    concepts: int = 50
    strengths: int = 4
    arms: int = 2
    """With an injection: the concept's vector, and the random one."""
    repeats: int = 5

    def trials(self, shape: Shape) -> tuple[int, int]:
        """Count the trials with an injection, and those without."""
        each = self.concepts * self.repeats
        return each * shape.blocks * self.strengths * self.arms, each


@dataclass(frozen=True)
class Cost:
    """The sweep of one model on one kind of machine."""

    shape: Shape
    plan: Plan
    machine: Machine
    rows: int
    """Rows side by side."""
    graphs: bool
    """Whether steps are replayed, so that starting kernels takes no time."""

    @property
    def row_bytes(self) -> int:
        """Return the keys and values of one row at its longest."""
        return (self.plan.span + self.plan.new_tokens) * self.shape.token_bytes

    @property
    def fitting(self) -> int:
        """Count the rows for which there is memory."""
        shape = self.shape
        weights = (shape.n_layers * shape.block_weights + 2 * shape.head_weights) * shape.number
        free = self.machine.memory * self.machine.memory_used - weights - self.plan.prefix * shape.token_bytes
        return int(free // self.row_bytes)

    @property
    def step_weights(self) -> tuple[float, float]:
        """Return FLOPs and bytes of a step's products with weights, which are read once a loop for all rows."""
        weights = self.shape.blocks * self.shape.block_weights + self.shape.head_weights
        return 2.0 * weights * self.rows, float(weights * self.shape.number)

    @property
    def step_attention(self) -> tuple[float, float]:
        """Return FLOPs and bytes of a step's attention: the beginning once for all rows, each row's own tokens."""
        own = self.plan.span + self.plan.new_tokens / 2  # a row's tokens, the new one included, mean over the steps
        flops = 4.0 * self.shape.blocks * self.shape.width * (self.plan.prefix + own) * self.rows
        return flops, (self.plan.prefix + self.rows * own) * self.shape.token_bytes

    @property
    def prefill(self) -> tuple[float, float]:
        """Return FLOPs and bytes of the prefill of `rows` trials, resumed behind each one's site."""
        blocks = (self.shape.blocks - 1) / 2  # mean over the sites of how many come after
        flops = 2.0 * self.rows * self.plan.span * blocks * self.shape.block_weights
        readouts = 2.0 * self.rows * self.shape.n_loops * self.shape.head_weights
        return flops + readouts, blocks * self.shape.block_weights * self.shape.number

    @property
    def parts(self) -> dict[str, float]:
        """Return the seconds of `rows` trials by what they go into; the first token comes from the prefill."""
        steps = self.plan.new_tokens - 1
        parts = {
            "prefill": self.machine.seconds(*self.prefill),
            "products with weights": steps * self.machine.seconds(*self.step_weights),
            "keys and values": steps * self.machine.seconds(*self.step_attention),
            "grading": self.rows * self.machine.graded,
        }
        starting = steps * self.shape.blocks * self.machine.block_overhead
        waiting = 0.0 if self.graphs else max(0.0, starting - parts["products with weights"] - parts["keys and values"])
        return {**parts, "waiting for Python to start kernels": waiting}

    @property
    def trials_per_second(self) -> float:
        """Return the speed of one GPU."""
        return self.rows / sum(self.parts.values())

    def gpu_seconds(self) -> float:
        """Return the time of all trials on one GPU, starting left out; those without an injection count in full."""
        return sum(self.plan.trials(self.shape)) / self.trials_per_second

    def wall(self, gpus: int) -> dict[str, float]:
        """Return the seconds that pass on so many GPUs: starting, and then the longer of running and storing."""
        shape = self.shape
        weights = (shape.n_layers * shape.block_weights + 2 * shape.head_weights) * shape.number
        return {
            "starting": self.machine.start + weights / self.machine.loading,
            "running": self.gpu_seconds() / gpus,
            "storing": sum(self.plan.trials(shape)) / self.machine.written,
        }


SHAPES = (Shape("Ouro-1.4B", 24), Shape("Ouro-2.6B", 48))
FLEETS = (1, 8, 64)


def main(rows: int = 256, gpus: int = 64) -> None:
    """Print the arithmetic, and what it adds up to."""
    costs = [Cost(shape, Plan(), Machine(), rows, graphs) for shape in SHAPES for graphs in (False, True)]
    OUT.print(f"{Plan()}\n{Machine()}\n", markup=False)
    show(f"one step of {rows} rows, and one prefill", *_work(costs[::2]))
    OUT.print()
    show("the full sweep", *_sweeps(costs, gpus))
    OUT.print()
    show(f"the full sweep of {SHAPES[-1].name} on cards of each size", *_cards(SHAPES[-1], rows))


def _work(costs: list[Cost]) -> tuple[list[str], list[list[object]]]:
    rows: list[list[object]] = []
    for cost in costs:
        for name, (flops, read) in (
            ("products with weights", cost.step_weights),
            ("keys and values", cost.step_attention),
            ("prefill", cost.prefill),
        ):
            took = f"{1e3 * cost.machine.seconds(flops, read):.2f}"
            rows.append([cost.shape.name, name, f"{flops / 1e12:.3f}", f"{read / 1e9:.2f}", took])
        rows.append([cost.shape.name, f"rows that fit: {cost.fitting}", "", f"{cost.row_bytes / 1e9:.3f} a row", ""])
    return ["model", "work", "TFLOP", "GB", "ms"], rows


def _sweeps(costs: list[Cost], gpus: int) -> tuple[list[str], list[list[object]]]:
    header = ["model", "steps", "trials", "trials/s", "GPU hours", "limited by", f"minutes on {gpus}", "limited by"]
    rows: list[list[object]] = []
    for cost in costs:
        wall = cost.wall(gpus)
        minutes = (wall["starting"] + max(wall["running"], wall["storing"])) / 60
        rows.append(
            [
                cost.shape.name,
                "replayed" if cost.graphs else "eager",
                f"{sum(cost.plan.trials(cost.shape)):,}",
                f"{cost.trials_per_second:.0f}",
                f"{cost.gpu_seconds() / 3600:.2f}",
                max(cost.parts, key=cost.parts.__getitem__),
                f"{minutes:.1f}",
                max(wall, key=wall.__getitem__),
            ]
        )
    return header, rows


def _cards(shape: Shape, rows: int) -> tuple[list[str], list[list[object]]]:
    """Count on each card with as many rows as it has room for, at most `rows`."""
    header = ["card", "steps", "rows", "trials/s", "GPU hours", *(f"hours on {count}" for count in FLEETS)]
    found: list[list[object]] = []
    for card, machine in CARDS.items():
        for graphs in (False, True):
            whole = Cost(shape, Plan(), machine, rows, graphs)
            cost = replace(whole, rows=min(rows, whole.fitting))
            walls = [cost.wall(count) for count in FLEETS]
            hours = [f"{(each['starting'] + max(each['running'], each['storing'])) / 3600:.2f}" for each in walls]
            steps, speed = "replayed" if graphs else "eager", f"{cost.trials_per_second:.0f}"
            found.append([card, steps, cost.rows, speed, f"{cost.gpu_seconds() / 3600:.2f}", *hours])
    return header, found


if __name__ == "__main__":
    typer.run(main)
