import { expect, test } from 'vitest';
import { Point } from '../src/api/types';
import { XY, curvesOf, nearest, pieces, thin } from '../src/charts/points';
import { linear, logarithmic, niceTicks, tickText } from '../src/charts/scale';

test('ticks are round, within the axis, and whole for steps', () => {
  expect(niceTicks(0, 1, 5)).toEqual([0, 0.2, 0.4, 0.6, 0.8, 1]);
  expect(niceTicks(0.13, 0.37, 3)).toEqual([0.2, 0.3]);
  expect(niceTicks(0, 3, 8, true)).toEqual([0, 1, 2, 3]);
  expect(niceTicks(-1e-7, 1e-7, 2)).toEqual([-1e-7, 0, 1e-7]);
  expect(logarithmic(0.001, 1000, 4).ticks).toEqual([0.001, 0.1, 10, 1000]);
  expect(linear(5, 5, 4).place(5)).toBeCloseTo(0.5);
  expect([0.30000000004, 12345678, 0.00001, 0].map(tickText)).toEqual(['0.3', '1.23e7', '1e-5', '0']);
});

test('a curve is cut where there is no value', () => {
  const points: XY[] = [[0, 1], [1, null], [2, 3], [3, 4]]; // prettier-ignore
  expect(pieces(points)).toEqual([[[0, 1]], [[2, 3], [3, 4]]]); // prettier-ignore
});

test('a hundred thousand points become few, and none of the extremes is lost', () => {
  const points = Array.from({ length: 100_000 }, (_, x): [number, number] => [
    x,
    x === 54_321 ? 99 : Math.sin(x / 500)
  ]);
  const found = thin(points, 400);
  expect(found.length).toBeLessThanOrEqual(1600);
  expect(found).toContainEqual([54_321, 99]);
  expect(found[0]).toEqual(points[0]);
  expect(found[found.length - 1]).toEqual(points[99_999]);
  expect(found.every(([x], at) => at === 0 || found[at - 1][0] < x)).toBe(true);
});

test('the nearest point is found', () => {
  const points: XY[] = [[0, 1], [10, 1], [20, 1]]; // prettier-ignore
  expect([-5, 4, 6, 14.9, 99].map(x => nearest(points, x))).toEqual([0, 0, 1, 1, 2]);
  expect(nearest([], 1)).toBe(-1);
});

test('points of one step are drawn in the order of time', () => {
  const point = (key: string, step: number, value: number, time: string): Point => ({ key, step, value, time });
  const found = curvesOf([
    point('a', 0, 2, 't2'),
    point('a', 0, 1, 't1'),
    point('b', 5, 1, 't1'),
    point('b', 3, 0, 't2')
  ]);
  expect(found.get('a')).toEqual([[0, 1], [1, 2]]); // prettier-ignore
  expect(found.get('b')).toEqual([[3, 0], [5, 1]]); // prettier-ignore
});
