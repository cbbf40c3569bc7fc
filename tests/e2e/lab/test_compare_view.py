"""Many runs beside each other: the table, ranges on the axes, curves, and what is left out."""

from __future__ import annotations

from typing import Any

from tests.browser import Lab, execute
from tests.e2e.lab.fill import wide_runs


def test_fifty_runs_of_forty_parameters_are_found_one_s_way_in(page: Any, lab: Lab) -> None:
    uids = wide_runs(lab, "wide", runs=50, each=40)
    execute(page, "mlrun:compare-runs", uids=uids)
    view = page.locator(".mlrun-Compare")
    table = view.get_by_role("region", name="Differences")
    table.get_by_role("rowheader", name="rate").wait_for()
    # rows are found by their names
    view.get_by_label("Filter the rows").fill("boost")
    table.get_by_role("rowheader", name="rate").wait_for(state="detached")
    table.get_by_role("rowheader", name="booster").wait_for()
    view.get_by_label("Filter the rows").fill("")
    # a range on an axis, with the keyboard and with the pointer
    axis = view.get_by_role("slider", name="rate")
    axis.focus()
    page.keyboard.press("ArrowUp")
    high = [run for run in lab.ask("projects/wide/runs?limit=50")["items"] if run["parameters"]["rate"] >= middle(lab)]
    view.get_by_text(f"{len(high)} of 50 runs are chosen.").wait_for()
    assert view.locator(".mlrun-Parallel-line[data-state=dim]").count() == 50 - len(high)
    assert view.locator(".mlrun-Chart").first.locator(".mlrun-Chart-line[data-faded=true]").count() == 50 - len(high)
    page.keyboard.press("Escape")
    view.get_by_text("Draw along an axis").wait_for()
    box = axis.bounding_box()
    page.mouse.move(box["x"] + 10, box["y"] + 2)
    page.mouse.down()
    page.mouse.move(box["x"] + 10, box["y"] + 60, steps=3)
    page.mouse.up()
    view.get_by_role("button", name="Compare only these").click()
    view.get_by_role("heading", name="runs compared", level=1).filter(has_not_text="50").wait_for()
    left = int(view.get_by_role("heading", level=1).text_content().split()[0])
    assert 2 <= left < 50
    page.wait_for_function("left => document.querySelectorAll('.mlrun-Compare thead th').length === left + 1", arg=left)


def middle(lab: Lab) -> float:
    """The middle of the axis of rates, which goes by orders of magnitude."""
    rates = [run["parameters"]["rate"] for run in lab.ask("projects/wide/runs?limit=50")["items"]]
    return float((min(rates) * max(rates)) ** 0.5)


def test_of_many_curves_the_one_that_is_pointed_at_tells_its_name(page: Any, lab: Lab) -> None:
    uids = wide_runs(lab, "curves", runs=12, each=8)
    execute(page, "mlrun:compare-runs", uids=uids)
    chart = page.get_by_role("figure", name="m00", exact=True)
    chart.get_by_text("12 curves").wait_for()
    line = chart.locator(".mlrun-Chart-line").nth(3)
    chart.scroll_into_view_if_needed()
    place = line.evaluate("path => { const p = path.getPointAtLength(path.getTotalLength()); const m = path.getScreenCTM(); return [p.x + m.e, p.y + m.f] }")
    page.mouse.move(*place)
    assert chart.locator(".mlrun-Chart-key").count() == 1
    # with the keyboard: the lowest and the highest of a step
    page.mouse.move(2, 2)
    chart.get_by_role("img").focus()
    page.keyboard.press("End")
    chart.get_by_text("step 29").wait_for()
    assert chart.locator(".mlrun-Chart-key").count() == 2
    chart.get_by_role("button", name="table").click()
    chart.get_by_role("rowheader", name="29").wait_for()


def test_a_run_is_left_out_and_another_is_added(page: Any, lab: Lab) -> None:
    uids = wide_runs(lab, "adding", runs=5, each=6)
    execute(page, "mlrun:show-panel")
    page.locator("#mlrun-panel").get_by_label("Project", exact=True).select_option("adding")
    execute(page, "mlrun:compare-runs", uids=uids[:3])
    view = page.locator(".mlrun-Compare")
    view.get_by_role("button", name="Leave out").first.click()
    view.get_by_role("heading", name="2 runs compared").wait_for()
    assert view.get_by_role("button", name="Leave out").count() == 0, "two are the fewest"
    view.get_by_label("Add a run").select_option(uids[4])
    view.get_by_role("heading", name="3 runs compared").wait_for()
    view.get_by_role("button", name="Show what is the same").click()
    view.get_by_role("rowheader", name="p00").wait_for()
