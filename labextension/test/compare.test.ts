import { expect, test } from 'vitest';
import { axesOf, axisKey, firstAxes, within } from '../src/compare/axes';

const row = (section: string, name: string, ...values: unknown[]) => ({ section, name, values });

test('axes are of what differs: numbers by size, other parameters by their values', () => {
  const axes = axesOf({
    rows: [
      row('parameters', 'n', 10, 30, 20),
      row('parameters', 'kind', 'gbm', 'rf', 'gbm'),
      row('parameters', 'same', 1, 1, 1),
      row('results', 'auc', 0.5, null, 0.75),
      row('results', 'note', 'a', 'b', 'c'),
      row('environment', 'python', '3.11', '3.12', '3.11')
    ]
  });
  expect(axes.map(axis => axis.name)).toEqual(['n', 'kind', 'auc']);
  expect(axes[0].at).toEqual([0, 1, 0.5]);
  expect(axes[1].at).toEqual([0, 1, 0]);
  expect(axes[2].at).toEqual([0, null, 1]);
  expect(axes[1].ticks.map(tick => tick.text)).toEqual(['gbm', 'rf']);
});

test('a parameter with more values than an axis can show has none', () => {
  expect(axesOf({ rows: [row('parameters', 'name', ...[...'abcdefghijklmnop'])] })).toEqual([]);
});

test('a parameter over orders of magnitude goes by them', () => {
  const [rate] = axesOf({ rows: [row('parameters', 'rate', 0.001, 0.01, 0.1)] });
  expect(rate.log).toBe(true);
  expect(rate.at[1]).toBeCloseTo(0.5);
});

test('the runs of a range on each axis are chosen', () => {
  const axes = axesOf({ rows: [row('parameters', 'n', 0, 5, 10), row('results', 'auc', 0, null, 1)] });
  const [n, auc] = axes.map(axisKey);
  expect(within(axes, new Map())).toBe(null);
  expect(within(axes, new Map([[n, [0.4, 1]]]))).toEqual(new Set([1, 2]));
  // what has no such value is not in its range
  expect(
    within(
      axes,
      new Map([
        [n, [0.4, 1] as const],
        [auc, [0, 1] as const]
      ])
    )
  ).toEqual(new Set([2]));
});

test('of very many axes the most telling are drawn at first, with room for results', () => {
  const rows = [
    ...Array.from({ length: 30 }, (_, at) => row('parameters', `p${at}`, 1, 2, 1)),
    row('parameters', 'telling', 1, 2, 3),
    ...Array.from({ length: 30 }, (_, at) => row('results', `m${at}`, 1, 2, 3))
  ];
  const first = firstAxes(axesOf({ rows }));
  expect(first.size).toBe(9);
  expect(first.has('parameters telling')).toBe(true);
  expect([...first].filter(each => each.startsWith('results'))).toHaveLength(3);
});
