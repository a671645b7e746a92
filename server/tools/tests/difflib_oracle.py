#!/usr/bin/env python3
"""Prints cases of difflib's ratio as JSON: [[query, value, ratio of both in lower case], ...].

    python3 difflib_oracle.py > difflib_oracle.json

The same seed gives the same cases. Both sides of the 200-character rule (autojunk) are among them.
"""
import argparse
import json
import random
import sys
from difflib import SequenceMatcher

WORDS = (
    "Acme Corp Corporation GmbH Azure Interior Deco Addict Gemini Furniture Ready Mat The Jackson Group Wood Corner "
    "Lumber Inc Northern Trading Company Müller Söhne Ærø Łódź Šiška İstanbul ΟΔΥΣΣΕΥΣ ΣΊΣΥΦΟΣ Straße STRASSE 東京 株式会社 "
    "Привет ООО Заря naïve café e\u0301clair 🚀 👩‍🚀 ﬁn ẞ S00017 INV/2026/0001 and of & - . 42"
).split()


def texts(rng):
    """One query and one value of some kind."""
    kind = rng.randrange(9)
    small = lambda n, alphabet: "".join(rng.choice(alphabet) for _ in range(n))
    phrase = lambda n: " ".join(rng.choice(WORDS) for _ in range(n))
    if kind == 0:
        return small(rng.randrange(0, 9), "ab"), small(rng.randrange(0, 12), "ab")
    if kind == 1:
        return small(rng.randrange(1, 15), "abcdAB "), small(rng.randrange(1, 40), "abcdAB ")
    if kind == 2:
        return phrase(rng.randrange(1, 4)), phrase(rng.randrange(1, 6))
    if kind == 3:  # a typo, a swap, a cut
        value = list(phrase(rng.randrange(1, 5)))
        for _ in range(rng.randrange(1, 4)):
            i = rng.randrange(len(value))
            value[i:i + 1] = rng.choice([[], [rng.choice("aeiou")], [value[i], value[i]]]) or [" "]
        query = phrase(1) + "".join(value)[rng.randrange(len(value)):]
        return query, "".join(value)
    if kind == 4:  # around the limit of 200 characters
        n = rng.choice([198, 199, 200, 201, 205])
        value = (phrase(60))[:n]
        return value[rng.randrange(60):rng.randrange(60, 190)], value
    if kind == 5:  # few characters, all popular
        n = rng.choice([199, 200, 201, 260])
        return small(rng.randrange(1, 40), "abc"), small(n, "abc")
    if kind == 6:  # many characters, some popular: n // 100 + 1 either way
        n = rng.choice([200, 299, 300, 301])
        alphabet = "".join(chr(0x4E00 + i) for i in range(120)) + "aB"
        value = small(n, alphabet)
        i = rng.randrange(n - 60)
        return value[i:i + rng.randrange(1, 60)] + small(5, alphabet), value
    if kind == 7:  # both long, much in common
        value = phrase(45)[:rng.randrange(120, 260)]
        cut = rng.randrange(len(value))
        return value[:cut] + phrase(2) + value[cut + rng.randrange(9):], value
    value = phrase(40)[:rng.randrange(180, 320)]
    cut = rng.randrange(len(value))
    return phrase(2), value[cut:] + value[:cut]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=20261121)
    rng = random.Random(parser.parse_args().seed)
    cases = [["", "", 1.0], ["a", "", 0.0], ["", "a", 0.0], ["ab", "acab", 0.0], ["Acme Corp", "Acme Corporation", 0.0]]
    cases += [[*texts(rng), 0.0] for _ in range(800)]
    for case in cases:
        case[2] = SequenceMatcher(None, case[0].lower(), case[1].lower()).ratio()
    sys.stdout.reconfigure(encoding="utf-8")
    lines = ",\n".join(json.dumps(case, ensure_ascii=False) for case in cases)
    print("[\n" + lines + "\n]")


if __name__ == "__main__":
    main()
