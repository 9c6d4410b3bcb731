"""Holds the evaluator against the tables of the CloudWatch User Guide on missing data (old and new edition).

0 is a good data point, X a bad one, - a missing one, oldest first; five are looked at. The columns: missing, ignore,
breaching, notBreaching; R: the state stays.
"""

import evaluate

THREE_OF_THREE = """
0-X-X  O O O O
0----  O O O O
-----  I R A O
0XX-X  A A A A
----X  I R A O
X----  A R A O
--X--  A R A O
"""

TWO_OF_THREE = """
0-X-X  A A A A
00X0X  A A A A
0-X--  O O A O
----0  O O A O
----X  I R A O
---X-  A R A O
"""


def check():
    """Raises at the first cell that differs; returns how many there are."""
    cells = 0
    for needed, table in ((3, THREE_OF_THREE), (2, TWO_OF_THREE)):
        for row in table.split("\n")[1:-1]:
            points, *expected = row.split()
            breaching = [{"0": False, "X": True, "-": None}[point] for point in points]
            for missing, letter in zip(("missing", "ignore", "breaching", "notBreaching"), expected, strict=True):
                for before in (evaluate.OK, evaluate.ALARM):
                    state = evaluate.decide(breaching, needed, 3, missing, before)
                    wanted = {"O": evaluate.OK, "A": evaluate.ALARM, "I": evaluate.UNKNOWN, "R": before}[letter]
                    if state != wanted:
                        raise AssertionError(f"{needed} of 3, {points}, {missing}, was {before}: {state}, not {wanted}")
                    cells += 1
    return cells
