"""The leaderboard as text tables: one for each corpus and way of averaging, sorted by the average that they show."""

from collections.abc import Mapping, Sequence

from remix_miner.evaluation.leaderboard.board import Row
from remix_miner.evaluation.leaderboard.published import published_rows
from remix_miner.evaluation.metrics.aggregates import headline
from remix_miner.evaluation.tables import NAMES, format_table
from remix_miner.sources import SOURCES

AGGREGATE_NAMES = {"not_stated": "average over frames and songs not stated"}

Figures = Mapping[str, float | None]


def text_tables(rows: Sequence[Row], metric: str) -> str:
    """Return the board's tables of a metric: measured and published rows by corpus, in the metric's usual average.

    Published rows whose paper does not state how it averages have tables of their own.
    """
    usual = headline(metric).name
    tables: dict[tuple[str, str], list[tuple[str, Figures]]] = {}
    for row in rows:
        scores = row.document["aggregates"].get(metric, {}).get(usual)
        if scores:
            figures = {column: cell["value"] for column, cell in scores.items()}
            tables.setdefault((row.document["corpus"]["name"], usual), []).append((row.document["name"], figures))
    computed = False
    for published in published_rows():
        if published.metric == metric and published.aggregate in (usual, "not_stated"):
            mark = " *" if published.average_is_computed else ""
            computed = computed or published.average_is_computed
            line = (f"{published.system} (published){mark}", published.figures)
            tables.setdefault((published.corpus, published.aggregate), []).append(line)
    blocks = [_table(metric, *place, lines) for place, lines in tables.items()]
    if computed:
        blocks.append("* average computed here as the mean of the four sources that the paper gives")
    return "\n\n".join(blocks)


def columns_of(figures: Sequence[Figures]) -> list[str]:
    """Return the columns of a table: the average, the four sources, other sources by name, all scores pooled."""
    known = {column for row in figures for column, value in row.items() if value is not None}
    others = sorted(known - {*SOURCES, "average", "all_pooled"})
    return [column for column in ("average", *SOURCES, *others, "all_pooled") if column in known]


def _table(metric: str, corpus: str, aggregate: str, lines: list[tuple[str, Figures]]) -> str:
    columns = columns_of([figures for _, figures in lines])
    name = AGGREGATE_NAMES.get(aggregate, aggregate.replace("_", " "))
    header = [f"{NAMES.get(metric, metric)}, dB", *(column.replace("_", " ") for column in columns)]
    lowest = float("-inf")

    def place(line: tuple[str, Figures]) -> float:
        value = line[1].get(columns[0]) if columns else None
        return lowest if value is None else value

    body = [
        [system, *("-" if (value := figures.get(column)) is None else f"{value:.2f}" for column in columns)]
        for system, figures in sorted(lines, key=place, reverse=True)
    ]
    return f"{corpus}, {name}\n" + format_table(header, body)
