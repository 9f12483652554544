import json

import pytest
from conftest import BULK, PING, SHAKE

from harness import output, plan, report, svg, tables, targets

CONTENDERS = ["direct", "plain", "plain again", "pavise", "nginx"]


def table_of(results, cells=(BULK, PING, SHAKE)):
    return list(report.rows(results, cells, CONTENDERS))


def row_of(table, cell, contender):
    return next(row for row in table if (row.cell, row.contender) == (cell, contender))


def test_rows_are_ratios_of_rounds(results):
    row = row_of(table_of(results), BULK, "pavise")
    assert row.ratio == pytest.approx(0.8)
    assert (row.low, row.high) == (pytest.approx(0.8), pytest.approx(0.8))
    assert row.value == pytest.approx(1.6e9)  # the median of the values, not of one machine


def test_rows_know_their_reference(results):
    table = table_of(results)
    assert row_of(table, SHAKE, "pavise").ratio == pytest.approx(1 / 6)
    assert not any(row.contender == "plain" and row.cell is SHAKE for row in table)


def test_no_reference_no_row_and_it_is_said(results):
    results.forget("nginx", ["full handshake inside"])
    assert not any(row.cell is SHAKE for row in table_of(results))
    assert any("full handshake" in what for what, _ in results.skipped)


def test_json_has_the_shape_that_was_promised(results):
    results.skip("ghostunnel", "is not installed")
    judged = report.verdicts(results, targets.ALL, ["nginx"])
    made = json.loads(json.dumps(report.as_json(table_of(results), judged, results.skipped)))
    assert set(made) == {"rows", "targets", "skipped"}
    for row in made["rows"]:
        assert set(row) == {"cell", "contender", "ratio", "low", "high"}
        assert row["low"] <= row["ratio"] <= row["high"]
    for target in made["targets"]:
        assert set(target) == {"id", "target", "value", "met"}
        assert (target["value"] is None) == (target["met"] is None)
    assert made["skipped"] == ["ghostunnel: is not installed"]


def verdict_of(results, name, peers=("nginx",)):
    target = next(target for target in targets.ALL if target.name.startswith(name))
    return report.verdicts(results, [target], list(peers))[0]


def test_target_of_handshakes_is_of_the_weaker_side(results):
    assert verdict_of(results, "full handshakes").value is None  # one side alone says nothing
    for number in range(3):
        results.add("pavise mutual", number, {"full handshake outside": 2e-4})
        results.add("nginx", number, {"full handshake outside": 6e-4})
    verdict = verdict_of(results, "full handshakes")
    assert verdict.value == pytest.approx(3) and not verdict.met


def test_target_of_memory_is_absolute(results):
    results.add("pavise", 0, {"idle rss": 8.9e6})
    verdict = verdict_of(results, "idle RSS")
    assert verdict.value == pytest.approx(8.9) and verdict.met is False


def test_target_against_the_best_peer(results):
    for cell in targets.BULK_1 + targets.BULK_8:
        for number in range(3):
            for contender, value in (("pavise", 9.0), ("nginx", 3.0), ("envoy", 6.0)):
                results.add(contender, number, {cell: value})
    name = "bulk, VAES / best peer"
    assert verdict_of(results, name, ["nginx"]).value == pytest.approx(3)
    assert verdict_of(results, name, ["nginx", "envoy"]).value == pytest.approx(1.5)
    assert verdict_of(results, name, []).met is None


def test_target_takes_the_worst_cell(results):
    for number in range(3):
        results.add("plain", number, {"bulk 1 down": 1.0})
        results.add("pavise", number, {"bulk 1 down": 0.9})
    verdict = verdict_of(results, "bulk, 1 stream, VAES")
    assert verdict.value == pytest.approx(0.8) and not verdict.met


def test_target_without_a_cell_is_not_measured(results):
    verdict = verdict_of(results, "bulk, 8 streams, VAES")
    assert verdict.value is None and verdict.met is None


def test_markdown_is_a_table_per_group(results):
    lines = list(tables.markdown(table_of(results)))
    assert [line for line in lines if line.startswith("#")] == [
        "### Bulk, ratios to plain", "### Messages, ratios to plain",
        "### Handshakes, ratios to nginx"]
    for start, line in enumerate(lines):
        if line.startswith("| |"):
            block = lines[start:lines.index("", start)]
            assert len({row.count("|") for row in block}) == 1
    assert any(line.startswith("| pavise | 1600 · **0.80**") for line in lines)


def test_what_the_noise_covers_is_marked(results):
    for number, share in enumerate((0.9, 1.1, 1.0)):
        results.add("plain again", number, {"bulk 1 up": results.of("bulk 1 up", "plain")[number] *
                                            share})
        results.add("nginx", number, {"bulk 1 up": results.of("bulk 1 up", "plain")[number] * 0.95})
    lines = list(tables.markdown(table_of(results, [BULK])))
    assert any(line.startswith("| nginx") and "**0.95** =" in line for line in lines)
    assert any(line.startswith("| pavise") and "**0.80** (" in line for line in lines)


def test_numbers_for_people():
    assert [tables.number(value) for value in (0, 0.01234, 1.2345, 12.345, 123.45, 1234567)] == [
        "0", "0.0123", "1.23", "12.3", "123", "1234567"]


def test_picture_has_a_bar_for_each(results):
    ping = row_of(table_of(results), PING, "pavise")
    text = svg.picture([row for row in table_of(results) if row.cell is PING])
    assert text.count("<rect") == 1 + 3  # the ground, and plain, pavise, nginx
    assert f"{ping.ratio:.2f}" in text and "shorter is better" in text


class FakeRun:
    def __init__(self, results):
        self.plan = plan.QUICK
        self.results = results


def test_publishing_replaces_what_is_between_the_marks(results):
    table = table_of(results)
    judged = report.verdicts(results, targets.ALL, ["nginx"])
    before = f"# Performance\n{output.BEGIN}old figures\n{output.END}## After\n"
    once = output.published(before, FakeRun(results), table, judged, 12.0)
    assert once.startswith("# Performance\n") and once.endswith(f"{output.END}## After\n")
    assert "old figures" not in once and "| pavise | 1600" in once
    assert output.published(once, FakeRun(results), table, judged, 12.0) == once
    with pytest.raises(ValueError):
        output.published("# Performance\n", FakeRun(results), table, judged, 12.0)


def test_the_page_has_the_marks():
    text = output.DOCUMENT.read_text(encoding="utf-8")
    assert text.index(output.BEGIN) < text.index(output.END)
