# SPDX-License-Identifier: MIT
"""Medians, ratios and targets of what was measured, as a table and as JSON."""

from statistics import median

from . import contenders

NUMBERS = ("requests_per_second", "cpu_us", "core_busy", "p50_ms", "p99_ms", "kib", "base_kib")


def _valid(rounds):
    return [one for one in rounds if one["valid"]]


def _median_ratio(metric, ours, theirs):
    """The median of the ratios within each round: what disturbs the machine disturbs neighbours
    alike, so that it is steadier than the ratio of the medians."""
    pairs = [(a[metric], b[metric]) for a, b in zip(ours, theirs) if a["valid"] and b["valid"]]
    ratios = [a / b for a, b in pairs if b > 0]
    return median(ratios) if ratios else None


def _better(metric, peers, results):
    """The cheaper of the peers, by the same ratio that the report shows."""
    best = peers[0] if peers else None
    for name in peers[1:]:
        ratio = _median_ratio(metric, results[name], results[best])
        if ratio is not None and ratio < 1:
            best = name
    return best


def summarise(row, results):
    """`results`: contender name -> its measurements, one a round. Returns the row of the report."""
    summary = {"row": row.name, "title": row.title, "metric": row.metric, "contenders": {}}
    for name, rounds in results.items():
        good = _valid(rounds)
        summary["contenders"][name] = {
            "valid": len(good) == len(rounds),
            "requests": sum(one["requests"] for one in rounds),
            "errors": sum(one["errors"] for one in rounds),
            "wrong": sorted({one["wrong"] for one in rounds if not one["valid"]}),
            **{key: median(one[key] for one in good)
               for key in NUMBERS if good and key in good[0]},
            "rounds": rounds,
        }
    found = summary["contenders"]
    peers = [name for name in contenders.PEERS if row.metric in found.get(name, {})]
    peer = _better(row.metric, peers, results)
    summary["better_peer"] = peer
    for name, entry in found.items():
        for key, other in (("to_better_peer", peer), ("to_floor", "floor")):
            entry[key] = (_median_ratio(row.metric, results[name], results[other])
                          if other in results else None)
    summary["target"] = _target(row, found.get("weir"))
    return summary


def _target(row, weir):
    """What Weir is held to in this row, and whether it was reached (None: not known)."""
    if row.floor_limit is not None:
        text, ratio, limit = f"at most {row.floor_limit} x floor", "to_floor", row.floor_limit
    else:
        ratio, limit = "to_better_peer", row.peer_limit
        text = ("not above the better peer" if limit == 1
                else f"at most {limit} x the better peer")
    value = weir[ratio] if weir and weir["valid"] else None
    return {"text": text, "met": None if value is None else value <= limit}


def _cell(value, form):
    return "-" if value is None else format(value, form)


COLUMNS = {
    "cpu_us": (("req/s", "requests_per_second", ",.0f"), ("CPU us/req", "cpu_us", ".1f"),
               ("core busy", "core_busy", ".0%"), ("p50 ms", "p50_ms", ".2f"),
               ("p99 ms", "p99_ms", ".2f")),
    "kib": (("KiB/conn", "kib", ".2f"), ("KiB before", "base_kib", ",.0f")),
}
SHARED = (("x better peer", "to_better_peer", ".2f"), ("x floor", "to_floor", ".2f"),
          ("answers", "requests", ",d"), ("errors", "errors", "d"))


def table(summary):
    """One row of the benchmark, with a line a contender."""
    columns = COLUMNS[summary["metric"]] + SHARED
    lines = [f"{summary['title']}  [{summary['row']}]",
             "  " + f"{'':10}" + "".join(f"{title:>15}" for title, _, _ in columns)]
    for name, entry in summary["contenders"].items():
        cells = "".join(f"{_cell(entry.get(key), form):>15}" for _, key, form in columns)
        lines.append(f"  {name:10}{cells}{'' if entry['valid'] else '  INVALID'}")
        lines.extend(f"    {name}: {text}" for text in entry["wrong"])
    if "weir" in summary["contenders"]:
        met = {True: "met", False: "MISSED", None: "not known"}[summary["target"]["met"]]
        lines.append(f"  target of weir: {summary['target']['text']}: {met}")
    return "\n".join(lines) + "\n"
