#!/usr/bin/env python3
"""Writes what Flink 2.3 answers to the cases in tests/fixtures/flink, which describes the formats.

usage: golden.py [--only expressions|queries] [--messages FILE]

Reads expressions.txt, queries/*.sql and tables/*; writes expressions.jsonl and queries.jsonl. Flink's
error messages are not kept, but go to FILE for whoever wants to know why.
"""

import argparse
import collections
import json
import os
import pathlib
import re
import subprocess
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
FIXTURES = HERE.parents[3] / "tests/fixtures/flink"
SECTION = re.compile(r"\[(?P<group>\w+)(?P<over> over t)?(?: in (?P<zone>\S+))?\]")
CASE = re.compile(r"-- (?P<id>\w+)(?: in (?P<zone>\S+))?")


def tables():
    """Name to column list and to the statement that declares the file to Flink."""
    declared = {}
    for path in sorted((FIXTURES / "tables").glob("*.schema")):
        schema = path.read_text().strip()
        options = f"'connector'='filesystem','format'='json','path'='{path.with_suffix('.jsonl')}'"
        declared[path.stem] = (schema, f"CREATE TABLE {path.stem} ({schema}) WITH ({options})")
    return declared


def expressions():
    """Cases in order, each with its place: the table and the time zone."""
    counts = collections.Counter()
    section = None
    for line in (FIXTURES / "expressions.txt").read_text().splitlines():
        if not line or line.startswith("#"):
            continue
        if match := SECTION.fullmatch(line):
            section = match
            continue
        counts[section["group"]] += 1
        case = {"id": f"{section['group']}-{counts[section['group']]}"}
        yield case | {"zone": section["zone"] or "UTC", "over": section["over"] and "t", "sql": line}


def queries():
    """Cases in order, each with the tables it names."""
    declared = tables()
    for path in sorted((FIXTURES / "queries").glob("*.sql")):
        for block in re.split(r"\n(?=-- )", path.read_text()):
            heading, _, body = block.partition("\n")
            case = CASE.fullmatch(heading)
            if not case:
                raise ValueError(f"{path}: no case begins with {heading!r}")
            statements = [part.strip() for part in re.split(r";[ \t]*(?:\n|$)", body) if part.strip()]
            used = [name for name in declared if re.search(rf"\b{name}\b", body)]
            yield {
                "id": case["id"],
                "zone": case["zone"] or "UTC",
                "tables": [{"name": name, "schema": declared[name][0]} for name in used],
                "views": statements[:-1],
                "query": statements[-1],
            }


def requests_of(cases, declared):
    """One request per query, and one per table and zone for expressions."""
    places = {}
    for case in cases:
        if "query" in case:
            create = [declared[table["name"]][1] for table in case["tables"]]
            yield [case], case | {"tables": create}
        else:
            places.setdefault((case["over"], case["zone"]), []).append(case)
    for (over, zone), members in places.items():
        yield members, {
            "zone": zone,
            "tables": [declared[over][1]] if over else [],
            "from": f"FROM {over}" if over else "",
            "expressions": [case["sql"] for case in members],
        }


def ask(cases):
    """Merges Flink's answers into the cases."""
    asked = list(requests_of(cases, tables()))
    with tempfile.TemporaryDirectory() as folder:
        questions, answers = (pathlib.Path(folder) / name for name in ["questions", "answers"])
        questions.write_text("".join(json.dumps(request) + "\n" for _, request in asked))
        # Many cases are there to fail, so Flink's log of failures says nothing.
        quiet = os.environ | {"LOG_LEVEL": "OFF"}
        command = [HERE.parent / "flink.sh", "Golden", questions, answers]
        subprocess.run(command, check=True, env=quiet)
        lines = answers.read_text().splitlines()
    asking = [case for members, _ in asked for case in members]
    assert len(asking) == len(lines)
    for case, line in zip(asking, lines):
        case.update(json.loads(line))


def tidy(case):
    """Rows in a fixed order; the kind of change only where rows are also taken back."""
    if "query" in case and "rows" in case:
        rows = case["rows"] if case["updating"] else [row[:-1] for row in case["rows"]]
        case["rows"] = sorted(rows, key=lambda row: json.dumps(row, ensure_ascii=False))
    if case.get("failed"):
        del case["rows"], case["updating"]
    return case


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", choices=["expressions", "queries"])
    parser.add_argument("--messages", type=argparse.FileType("w"))
    options = parser.parse_args()
    kinds = {"expressions": list(expressions()), "queries": list(queries())}
    chosen = {kind: cases for kind, cases in kinds.items() if options.only in (None, kind)}
    ask([case for cases in chosen.values() for case in cases])
    for kind, cases in chosen.items():
        with open(FIXTURES / f"{kind}.jsonl", "w") as file:
            for case in map(tidy, cases):
                message = case.pop("message", None)
                if message and options.messages:
                    options.messages.write(f"{case['id']}: {case.get('sql', '')}\n  {message}\n")
                file.write(json.dumps(case, ensure_ascii=False) + "\n")
        refused = sum("refused" in case for case in cases)
        print(f"{kind}: {len(cases)}, of which refused: {refused}")


if __name__ == "__main__":
    main()
