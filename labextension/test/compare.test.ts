import { expect, test } from 'vitest';
import { axesOf } from '../src/compare/axes';

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
