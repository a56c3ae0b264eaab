"""Turns the rows of a run into a Markdown table, a plot and a JSON file."""

import dataclasses
import html
import json
import math
import statistics


@dataclasses.dataclass
class Row:
    """One requirement and what was measured for it, round by round."""

    name: str
    unit: str
    direction: str            # "at least" or "at most"
    required: float
    rounds: list
    detail: str = ""
    bad: dict = dataclasses.field(default_factory=dict)

    @property
    def value(self):
        return statistics.median(self.rounds)

    @property
    def margin(self):
        """How far on the right side of the requirement: 1 is just met, 2 twice as good."""
        if self.value <= 0 or self.required <= 0:
            return 0.0
        return self.value / self.required if self.direction == "at least" else self.required / self.value

    @property
    def verdict(self):
        if self.bad:
            return "no: " + ", ".join(f"{count:,} {name}" for name, count in self.bad.items())
        return "yes" if self.margin >= 1 else "no"

    def text(self, value):
        digits = 0 if abs(value) >= 1000 else 1 if abs(value) >= 20 else 2
        separator = "" if self.unit in ("×", "") else " "
        return f"{value:,.{digits}f}{separator}{self.unit}"

    def requirement(self):
        sign = "≥" if self.direction == "at least" else "≤"
        number = f"{self.required:,g}" if self.required < 1000 else f"{self.required:,.0f}"
        separator = "" if self.unit in ("×", "") else " "
        return f"{sign} {number}{separator}{self.unit}"


def markdown(rows, machine):
    lines = ["# Benchmark", ""]
    lines += [f"* {name}: {value}" for name, value in machine.items()]
    lines += ["", "Medians of the rounds; ratios are made within a round.", "",
              "| what | required | measured | met | rounds | beside it |", "|---|---|---|---|---|---|"]
    for row in rows:
        rounds = ", ".join(row.text(value) for value in row.rounds)
        lines.append(f"| {row.name} | {row.requirement()} | **{row.text(row.value)}** | {row.verdict} | {rounds} "
                     f"| {row.detail} |")
    return "\n".join(lines) + "\n"


def plot(rows, machine):
    """One bar for each row: its margin over the requirement, on a logarithmic scale."""
    label_width, bar_width, text_width, line, top = 420, 420, 230, 26, 62
    least, most = 0.25, 8.0
    width, height = label_width + bar_width + text_width, top + line * len(rows) + 40

    def x(margin):
        share = math.log(min(max(margin, least), most) / least) / math.log(most / least)
        return label_width + bar_width * share

    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
             'font-family="sans-serif" font-size="13">',
             f'<rect width="{width}" height="{height}" fill="white"/>',
             '<text x="12" y="24" font-size="16" font-weight="bold">raincheck against its requirements</text>',
             f'<text x="12" y="43" fill="#666">{html.escape(machine.get("CPU", ""))}; right of the line is better; '
             'logarithmic</text>']
    for tick in (0.25, 0.5, 1, 2, 4, 8):
        colour = "#444" if tick == 1 else "#ddd"
        parts.append(f'<line x1="{x(tick):.1f}" x2="{x(tick):.1f}" y1="{top - 6}" y2="{height - 30}" '
                     f'stroke="{colour}"/>')
        label = "required" if tick == 1 else f"{tick:g}×"
        parts.append(f'<text x="{x(tick):.1f}" y="{height - 12}" text-anchor="middle" fill="#666">{label}</text>')
    for index, row in enumerate(rows):
        y = top + index * line
        left, right = sorted((x(1), x(row.margin)))
        colour = "#2a9d5c" if row.verdict == "yes" else "#d1495b"
        parts.append(f'<text x="{label_width - 12}" y="{y + 14}" text-anchor="end">{html.escape(row.name)}</text>')
        parts.append(f'<rect x="{left:.1f}" y="{y + 2}" width="{max(right - left, 1.5):.1f}" height="16" '
                     f'fill="{colour}"/>')
        text = f"{row.text(row.value)} ({row.requirement()})"
        parts.append(f'<text x="{label_width + bar_width + 14}" y="{y + 14}">{html.escape(text)}</text>')
    parts.append("</svg>")
    return "\n".join(parts) + "\n"


def write(folder, rows, machine, raw):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "results.md").write_text(markdown(rows, machine))
    (folder / "results.svg").write_text(plot(rows, machine))
    measured = [dataclasses.asdict(row) | {"value": row.value, "verdict": row.verdict} for row in rows]
    (folder / "results.json").write_text(
        json.dumps({"machine": machine, "rows": measured, "runs": raw}, indent=1) + "\n")
