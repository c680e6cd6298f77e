"""Not a benchmark itself but its pictures, as SVG: bars of ratios, and curves. On a ground of their own, so that they can be
read on a dark page too."""

import html
import math

import measure

FONT = "font-family='system-ui, sans-serif'"
COLORS = ("#1f6feb", "#d9730d", "#1a7f37", "#8250df")
BETTER, WORSE, INK, FAINT = "#1f6feb", "#d9730d", "#24292f", "#d0d7de"


def text(x, y, words, anchor="start", size=12, color=INK, more=""):
    return (
        f"<text x='{x:.1f}' y='{y:.1f}' text-anchor='{anchor}' font-size='{size}' fill='{color}' {FONT} {more}>"
        f"{html.escape(words)}</text>"
    )


def line(x1, y1, x2, y2, color=FAINT, width=1.0):
    return f"<line x1='{x1:.1f}' y1='{y1:.1f}' x2='{x2:.1f}' y2='{y2:.1f}' stroke='{color}' stroke-width='{width}'/>"


def picture(width, height, parts):
    return (
        f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {width} {height}' width='{width}' height='{height}'>\n"
        f"<rect width='{width}' height='{height}' rx='6' fill='#ffffff'/>\n" + "\n".join(parts) + "\n</svg>\n"
    )


def short(number):
    """1200 as 1.2k."""
    for factor, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if number >= factor:
            return f"{number / factor:.3g}{unit}"
    return f"{number:.3g}"


def bars(title, groups):
    """`groups`: [(heading, [(label, ratio)])]: how many times as fast framecall is; a logarithmic scale, 1 in the middle of
    what is slower and what is faster."""
    label_width, plot_width, row, top = 290, 420, 20, 58
    ratios = [ratio for _, rows in groups for _, ratio in rows]
    low, high = min(0.5, *ratios) / 1.5, max(2.0, *ratios) * 1.35

    def x(ratio):
        return label_width + plot_width * math.log(ratio / low) / math.log(high / low)

    height = top + sum(30 + row * len(rows) for _, rows in groups) + 34
    parts = [text(16, 26, title, size=15, more="font-weight='600'")]
    ticks = [tick for tick in (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100) if low <= tick <= high]
    for tick in ticks:
        parts.append(
            line(x(tick), top - 10, x(tick), height - 30, INK if tick == 1 else FAINT, 1.2 if tick == 1 else 1)
        )
        parts.append(text(x(tick), height - 14, f"{tick:g} ×", "middle", 11))
    y = top
    for heading, rows in groups:
        y += 24
        parts.append(text(16, y - 6, heading, more="font-weight='600'"))
        for label, ratio in rows:
            start, end = sorted((x(1), x(ratio)))
            color = BETTER if ratio >= 1 else WORSE
            parts.append(text(label_width - 8, y + 14, label, "end"))
            parts.append(
                f"<rect x='{start:.1f}' y='{y + 3}' width='{max(end - start, 1):.1f}' height='{row - 6}' fill='{color}'/>"
            )
            parts.append(
                text(end + 5 if ratio >= 1 else start - 5, y + 14, f"{ratio:.3g}", "start" if ratio >= 1 else "end", 11)
            )
            y += row
        y += 6
    return picture(label_width + plot_width + 30, height, parts)


def ticks_of(low, high, sizes=False):
    """For a logarithmic axis."""
    if sizes:
        return [1 << bits for bits in range(1, 42, 3) if low <= 1 << bits <= high]
    ticks = [step * 10**power for power in range(-3, 13) for step in (1, 2, 5)]
    inside = [tick for tick in ticks if low <= tick <= high]
    if len(inside) < 3:  # a narrow one
        inside = [step * 10**power / 2 for power in range(-3, 13) for step in range(2, 20)]
        return [tick for tick in inside if low <= tick <= high]
    return inside if len(inside) <= 12 else [tick for tick in inside if math.log10(tick) % 1 < 1e-9]


def curves(title, across, up, series, sizes=False):
    """`series`: {name: [(x, y)]}; both axes are logarithmic. `sizes`: the axis across counts bytes."""
    width, height, left, right, top, bottom = 720, 400, 70, 24, 62, 52
    points = [point for line_ in series.values() for point in line_]
    low_x, high_x = min(x for x, _ in points), max(x for x, _ in points)
    low_y, high_y = min(y for _, y in points) / 1.3, max(y for _, y in points) * 1.3

    def at(x, y):
        return (
            left + (width - left - right) * math.log(x / low_x) / max(math.log(high_x / low_x), 1e-9),
            height - bottom - (height - top - bottom) * math.log(y / low_y) / math.log(high_y / low_y),
        )

    parts = [text(16, 26, title, size=15, more="font-weight='600'")]
    for tick in ticks_of(low_y, high_y):
        y = at(low_x, tick)[1]
        parts += [line(left, y, width - right, y), text(left - 8, y + 4, short(tick), "end", 11)]
    for tick in ticks_of(low_x, high_x, sizes):
        x = at(tick, low_y)[0]
        words = measure.size_text(tick) if sizes else short(tick)
        parts += [
            line(x, height - bottom, x, height - bottom + 4, INK),
            text(x, height - bottom + 18, words, "middle", 11),
        ]
    parts.append(line(left, height - bottom, width - right, height - bottom, INK))
    parts.append(text((left + width - right) / 2, height - 12, across, "middle"))
    parts.append(text(left, top - 8, up, "start", 11))
    legend = left + 70
    for (name, points_), color in zip(series.items(), COLORS):
        path = " ".join("{:.1f},{:.1f}".format(*at(*point)) for point in points_)
        parts.append(f"<polyline points='{path}' fill='none' stroke='{color}' stroke-width='2'/>")
        parts += ["<circle cx='{:.1f}' cy='{:.1f}' r='3' fill='{}'/>".format(*at(*point), color) for point in points_]
        parts.append(text(legend, top - 8, name, "start", 12, color, "font-weight='600'"))
        legend += 7.2 * len(name) + 24
    return picture(width, height, parts)
