"""How smooth it is: frame times while ten thousand rows go by, time until a wide comparison is drawn. Prints; takes minutes: ``make soak``."""

from __future__ import annotations

import statistics
from typing import Any

import pytest

from tests.browser import Lab, execute
from tests.e2e.lab.fill import many_runs, wide_runs

ROWS = 10_000
SCROLL = """
async ([pixels, rows]) => {
  const list = document.querySelector('#mlrun-panel [role=listbox][aria-label=Runs]');
  const times = [];
  let last = 0, still = 0;
  await new Promise(done => {
    const step = now => {
      if (last) times.push(now - last);
      last = now;
      const before = list.scrollTop;
      list.scrollTop += pixels;
      still = list.scrollTop === before ? still + 1 : 0;
      const known = Number(list.querySelector('[role=option]')?.getAttribute('aria-setsize') ?? 0);
      // at the end, once all pages were read
      if (still > 600 || (still > 5 && (pixels < 0 || known >= rows))) return done();
      requestAnimationFrame(step);
    };
    requestAnimationFrame(step);
  });
  return times;
}
"""


def said(times: list[float]) -> str:
    of = statistics.quantiles(times, n=100)
    return f"{len(times)} frames, ms: p50 {of[49]:.1f}, p95 {of[94]:.1f}, p99 {of[98]:.1f}, worst {max(times):.1f}"


@pytest.mark.soak
@pytest.mark.timeout(600)
def test_ten_thousand_rows_go_by(page: Any, lab: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    many_runs(lab, "smooth", ROWS)
    execute(page, "mlrun:show-panel")
    panel = page.locator("#mlrun-panel")
    panel.get_by_label("Project", exact=True).select_option("smooth")
    panel.get_by_text("train-09999").wait_for()
    # the frames of an idle page, to hold the others against
    idle = page.evaluate("async () => { const t = []; let l = 0; for (let i = 0; i < 60; i++) { const n = await new Promise(requestAnimationFrame); if (l) t.push(n - l); l = n; } return t }")
    reading = page.evaluate(SCROLL, [440, ROWS])
    assert panel.get_by_text("train-00000").count() == 1, "the end was not reached"
    back = page.evaluate(SCROLL, [-440, ROWS])
    assert panel.get_by_text("train-09999").count() == 1
    slow = page.evaluate(SCROLL, [44, ROWS])
    assert panel.locator("[role=option]").count() < 60, "more rows are drawn than are in sight"
    with capsys.disabled():
        print(f"\nidle: {said(idle)}\nten rows a frame while pages are read: {said(reading)}\nten rows a frame: {said(back)}\na row a frame: {said(slow)}")


@pytest.mark.soak
@pytest.mark.timeout(600)
def test_fifty_runs_of_forty_parameters_are_compared(page: Any, lab: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    uids = wide_runs(lab, "wide-timed", runs=50, each=40)
    taken = []
    for _ in range(5):
        drawn = page.evaluate(
            """async uids => {
              const begun = performance.now();
              const frame = () => new Promise(requestAnimationFrame);
              const widget = await jupyterapp.commands.execute('mlrun:compare-runs', {uids});
              while (!widget.node.querySelector('.mlrun-Table tbody tr')) await frame();
              const table = performance.now() - begun;
              while (!widget.node.querySelector('.mlrun-Chart-line')) await frame();
              await frame(); await frame();
              const all = performance.now() - begun;
              const answer = performance.getEntriesByType('resource').filter(each => each.name.includes('/compare?')).at(-1).duration;
              const nodes = widget.node.querySelectorAll('*').length;
              widget.close();
              return [answer, table, all, nodes];
            }""",
            uids,
        )
        taken.append(drawn)
    answer, table, drawn, nodes = (statistics.median(column) for column in zip(*taken, strict=True))
    with capsys.disabled():
        print(f"\n50 runs × 40, from the command, ms: answer {answer:.0f}, table {table:.0f}, charts {drawn:.0f}; {nodes:.0f} nodes")
