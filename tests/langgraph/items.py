"""Writes items.json beside it: what LangGraph's InMemoryStore answers, for the tests of items.

    pip install langgraph-checkpoint==4.3.2 numpy && python3 tests/langgraph/items.py

Each case is a list of puts and deletes, then questions with their answers. The store that is asked holds what is left after
the writes, put in the order of path and key: InMemoryStore lists in the order of insertion, and keeps the namespaces of
deleted items. What differs by intent (docs/items.md) is not asked.
"""

import json
import random
from importlib.metadata import version
from pathlib import Path

from langgraph.store.base import ListNamespacesOp, MatchCondition
from langgraph.store.memory import InMemoryStore

SEGMENTS = ["a", "ab", "b", "*", "a/b", "é", "A"]
KEYS = ["k", "k1", "*", "é", "z"]
WORDS = ["abc", "aab", "ccb", "bbbb", "cab", "xyz", "a", "b", "c"]
FIELDS = [["$"], ["text"], ["text", "deep.er"], ["parts[*].text"], ["parts[-1].text", "n"], ["tags[0]", "deep.*"]]
ANY = 1000


def embed(texts):
    return [[float(text.count(letter) + 1) for letter in "abc"] for text in texts]


def path(dice, least=1):
    return [dice.choice(SEGMENTS) for _ in range(dice.randint(least, 3))]


def value(dice):
    # Each word once: the store counts a text that a value has twice as one embedding too few, and raises.
    words = dice.sample(WORDS, len(WORDS))
    out = {"n": dice.randint(-2, 4), "kind": dice.choice(["note", "fact"]), "text": words.pop()}
    if dice.random() < 0.5:
        out["deep"] = {"er": words.pop(), "n": dice.randint(0, 2)}
    if dice.random() < 0.5:
        out["parts"] = [{"text": words.pop()} for _ in range(dice.randint(0, 3))]
    if dice.random() < 0.3:
        out["tags"] = [words.pop(), words.pop()]
    if dice.random() < 0.3:
        out["ok"] = dice.random() < 0.5
    return out


def write(dice):
    op = {"path": path(dice), "key": dice.choice(KEYS)}
    if dice.random() < 0.15:
        return {**op, "delete": True}
    op["value"] = value(dice)
    index = dice.choice([None, None, None, False, ["text"], ["parts[*].text", "deep.er"]])
    return op if index is None else {**op, "index": index}


def filter_of(dice):
    n = dice.randint(-2, 4)
    return dice.choice(
        [
            {},
            {"kind": "note"},
            {"n": n},
            {"n": {"$eq": n}},
            {"n": {"$ne": n}},
            {"n": {"$gt": n}, "kind": "fact"},
            {"n": {"$gte": n, "$lt": n + 3}},
            {"n": {"$lte": n}},
            {"ok": {"$ne": True}},
            {"kind": {"$ne": "note"}, "text": {"$ne": "abc"}},
            {"tags": ["a", "b"]},
            {"deep": {"er": "abc", "n": 1}},
        ]
    )


def conditions(dice):
    out = []
    for kind in ("prefix", "suffix", "prefix"):
        if dice.random() < 0.4:
            out.append({kind: [dice.choice(SEGMENTS + ["*", "*"]) for _ in range(dice.randint(0, 3))]})
    return out


def list_paths(dice, store):
    ask = {"conditions": conditions(dice)}
    if dice.random() < 0.5:
        ask["max_depth"] = dice.randint(1, 3)
    ask["limit"] = dice.choice([1, 3, ANY])
    ask["offset"] = dice.choice([0, 0, 1, 4])
    matches = tuple(
        MatchCondition(match_type=kind, path=tuple(pattern))
        for condition in ask["conditions"]
        for kind, pattern in condition.items()
    )
    op = ListNamespacesOp(
        match_conditions=matches, max_depth=ask.get("max_depth"), limit=ask["limit"], offset=ask["offset"]
    )
    return {"ask": ask, "answer": [list(found) for found in store.batch([op])[0]]}


def search(dice, store, by_text):
    ask = {"path": path(dice, 0) if dice.random() < 0.7 else [], "filter": filter_of(dice)}
    if by_text:
        ask.update(query=dice.choice(WORDS), limit=ANY)
    else:
        ask.update(limit=dice.choice([1, 4, ANY]), offset=dice.choice([0, 0, 2]))
    found = store.search(
        tuple(ask["path"]),
        filter=ask["filter"],
        query=ask.get("query"),
        limit=ask["limit"],
        offset=ask.get("offset", 0),
    )
    return {"ask": ask, "answer": [[list(item.namespace), item.key, item.score] for item in found]}


def case(dice):
    fields = dice.choice([None] + FIELDS)
    index = None if fields is None else {"dims": 3, "embed": embed, "fields": fields}
    store = InMemoryStore(index=index)
    writes = [write(dice) for _ in range(dice.randint(3, 40))]
    left = {}
    for op in writes:
        place = (tuple(op["path"]), op["key"])
        left.pop(place, None)
        if "value" in op:
            left[place] = op
    for (namespace, key), op in sorted(left.items(), key=lambda entry: entry[0]):
        store.put(namespace, key, op["value"], index=op.get("index"))
    out = {"fields": fields, "writes": writes}
    out["paths"] = [list_paths(dice, store) for _ in range(8)]
    out["searches"] = [search(dice, store, False) for _ in range(6)]
    if fields is not None:
        out["queries"] = [search(dice, store, True) for _ in range(6)]
    out["gets"] = [
        [list(namespace), key, item and item.value]
        for namespace, key in ((tuple(path(dice)), dice.choice(KEYS)) for _ in range(8))
        for item in [store.get(namespace, key)]
    ]
    return out


def main():
    dice = random.Random(7)
    cases = [case(dice) for _ in range(60)]
    golden = {"langgraph-checkpoint": version("langgraph-checkpoint"), "cases": cases}
    file = Path(__file__).with_suffix(".json")
    file.write_text(json.dumps(golden, ensure_ascii=False, separators=(",", ":")) + "\n")


main()
