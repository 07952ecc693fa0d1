#!/usr/bin/env python3
"""Compares the instruction counts of the last run with baseline.tsv beside this file; `--store` makes them the baseline."""

import json
import pathlib
import sys

HERE = pathlib.Path(__file__).parent
BASELINE = HERE / "baseline.tsv"
# What the same code may differ by: addresses move with the build.
TOLERATED = 1.05


def counted(root):
    """Instructions by benchmark, from the summaries that the run wrote."""
    counts = {}
    for file in sorted(root.glob("**/summary.json")):
        summary = json.loads(file.read_text())
        for profile in summary["profiles"]:
            if profile["tool"] != "Callgrind":
                continue
            name = f"{summary['function_name']} {summary['id']}"
            counts[name] = int(profile["data"]["total"]["metrics"]["Ir"]["values"]["new"])
    return counts


def main():
    counts = counted(pathlib.Path(sys.argv[1]))
    if not counts:
        sys.exit("no benchmark has run")
    if "--store" in sys.argv:
        BASELINE.write_text("".join(f"{name}\t{count}\n" for name, count in sorted(counts.items())))
        print(f"{len(counts)} counts are the baseline")
        return
    baseline = dict(line.split("\t") for line in BASELINE.read_text().splitlines())
    worse = False
    for name, count in sorted(counts.items()):
        before = int(baseline.get(name, 0))
        ratio = count / before if before else float("nan")
        note = "more" if ratio > TOLERATED else "new" if not before else ""
        worse |= note == "more"
        print(f"{name:32} {count:>12,} instructions  {ratio:6.3f} of the baseline  {note}")
    missing = sorted(baseline.keys() - counts.keys())
    if missing:
        sys.exit(f"did not run: {', '.join(missing)}; if they are gone for good: make bench-instructions STORE=1")
    if worse:
        sys.exit(f"some take more than {TOLERATED} of the baseline; if that is meant: make bench-instructions STORE=1")


main()
