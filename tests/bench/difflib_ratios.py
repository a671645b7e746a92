#!/usr/bin/env python3
"""The other side of the measurement of fuzzy_search: what CPython's difflib says of the same names, and how long it takes.

Standard input: {"queries": [...], "names": [...], "least": 0.6} as JSON. Standard output: one object with `python` (its version) and,
for each query, `all` (the seconds and the ratio of every name) and `close` (the seconds and the [index, ratio] of names that
reach `least`, with difflib's own upper bounds first, as get_close_matches uses them). Both sides are in lower case.
"""
import json
import platform
import sys
import time
from difflib import SequenceMatcher


def every(query, names):
    began = time.perf_counter()
    query = query.lower()
    ratios = [SequenceMatcher(None, query, name.lower()).ratio() for name in names]
    return [time.perf_counter() - began, ratios]


def close(query, names, least):
    began = time.perf_counter()
    query = query.lower()
    found = []
    for index, name in enumerate(names):
        matcher = SequenceMatcher(None, query, name.lower())
        if matcher.real_quick_ratio() >= least and matcher.quick_ratio() >= least:
            ratio = matcher.ratio()
            if ratio >= least:
                found.append([index, ratio])
    return [time.perf_counter() - began, found]


def main():
    asked = json.load(sys.stdin)
    names, least = asked["names"], asked["least"]
    json.dump({
        "python": platform.python_version(),
        "all": [every(query, names) for query in asked["queries"]],
        "close": [close(query, names, least) for query in asked["queries"]],
    }, sys.stdout)


if __name__ == "__main__":
    main()
