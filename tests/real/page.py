"""Tables and the figure of docs/real.md, from runs of one sweep: a model as it is, and with loops of its own.

python tests/real/page.py RUN [RUN ...] writes docs/real.png and prints the tables; the page has the commands.
"""

import sys
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd

ROOT = Path(__file__).parents[2]
ARMS = {"injected": "o", "random": "s", "wrong": "^", "none": "D"}


def read(run: Path, name: str) -> pd.DataFrame:
    """Read a table of a run."""
    return pd.read_csv(run / "tables" / f"{name}.csv", keep_default_na=False, na_values=[""])


def by_strength(run: Path) -> pd.DataFrame:
    """Count detected, unknown and coherent per arm and strength, over loops, of the question `detect`."""
    trials = read(run, "trials").query("question == 'detect' and state == 'done'")
    rows = []
    for (arm, strength), part in trials.groupby(["arm", "strength"], dropna=False):
        verdicts = part["rules_detected"].astype("boolean")
        model = part["coherent_by_model"].astype("boolean")
        rows.append(
            {
                "arm": arm,
                "strength": "" if pd.isna(strength) else f"{strength:g}",
                "detected": f"{int(verdicts.sum())}/{int(verdicts.notna().sum())}",
                "unknown": f"{int(verdicts.isna().sum())}/{len(part)}",
                "identified": int(part["rules_identified"].astype("boolean").sum()),
                "coherent (rules)": f"{int(part['rules_coherent'].astype('boolean').sum())}/{len(part)}",
                "coherent by the model": f"{int(model.sum())}/{int(model.notna().sum())}",
                "rate": verdicts.mean() if verdicts.notna().any() else float("nan"),
                "share": verdicts.isna().mean(),
            }
        )
    return pd.DataFrame(rows)


def markdown(table: pd.DataFrame) -> str:
    """Write a table as Markdown."""
    names = [name for name in table if name not in ("rate", "share")]
    lines = ["| " + " | ".join(names) + " |", "|" + "---|" * len(names)]
    return "\n".join(
        lines + ["| " + " | ".join(str(row[name]) for name in names) + " |" for _, row in table.iterrows()]
    )


def contrasts(run: Path) -> pd.DataFrame:
    """Take the effects over all cells."""
    table = read(run, "contrasts")
    table = table[table["loop"].isna()] if "loop" in table else table
    return table[["effect", "n", "mean", "low", "high", "p"]].round(3)


def draw(tables: dict[str, pd.DataFrame], out: Path) -> None:
    """Draw detection among decided answers and the unknown share, one column per run."""
    shape = {"nrows": 2, "ncols": len(tables), "figsize": (3.3 * len(tables), 4.6), "squeeze": False}
    figure, axes = plt.subplots(**shape, sharex=True, sharey=True, layout="constrained")
    for column, (name, table) in enumerate(tables.items()):
        for row, (value, said) in enumerate({"rate": "detected, of the decided", "share": "unknown, of all"}.items()):
            ax = axes[row, column]
            for arm, marker in ARMS.items():
                part = table[table["arm"] == arm]
                if arm == "none":
                    ax.axhline(part[value].iloc[0], linestyle=":", color="grey", label="no injection")
                else:
                    ax.plot(part["strength"].astype(float), part[value], marker=marker, label=arm)
            ax.set(ylim=(-0.03, 1.03), ylabel=said, title=name if row == 0 else "")
            ax.set_xscale("log", base=2)
            if row:
                ax.set_xlabel("strength (multiples of the vector)")
    axes[0, 0].legend(fontsize=7)
    figure.savefig(out, dpi=150)


if __name__ == "__main__":
    runs = [Path(each) for each in sys.argv[1:]]
    found = {run.name: by_strength(run) for run in runs}
    draw(found, ROOT / "docs" / "real.png")
    for run in runs:
        sys.stdout.write(f"\n{run}\n\n{markdown(found[run.name])}\n\n{markdown(contrasts(run))}\n\n")
        sys.stdout.write(f"{markdown(read(run, 'capability'))}\n")
