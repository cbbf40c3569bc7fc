/** Points of curves: thinned to what can be seen, cut at gaps, found by place. No DOM here. */
import { Point } from '../api/types';

/** `[x, y]`, in the order of x; null: there is no value. */
export type XY = readonly [number, number | null];

export interface ISeries {
  readonly name: string;
  readonly points: readonly XY[];
}

/** The pieces of a curve between its gaps. */
export function pieces(points: readonly XY[], plotted: (y: number) => boolean = Number.isFinite): [number, number][][] {
  const found: [number, number][][] = [];
  let piece: [number, number][] = [];
  for (const [x, y] of points) {
    if (y !== null && plotted(y)) {
      piece.push([x, y]);
    } else if (piece.length) {
      found.push(piece);
      piece = [];
    }
  }
  if (piece.length) {
    found.push(piece);
  }
  return found;
}

/** Of each of so many equal parts of the x-axis the first, lowest, highest and last point: the curve looks the same. */
export function thin(points: readonly [number, number][], parts: number): readonly [number, number][] {
  if (points.length <= parts * 4) {
    return points;
  }
  const [from, to] = [points[0][0], points[points.length - 1][0]];
  const width = (to - from) / parts || 1;
  const found: [number, number][] = [];
  let start = 0;
  while (start < points.length) {
    const part = Math.floor((points[start][0] - from) / width);
    let end = start;
    let low = start;
    let high = start;
    while (end + 1 < points.length && Math.floor((points[end + 1][0] - from) / width) === part) {
      end++;
      low = points[end][1] < points[low][1] ? end : low;
      high = points[end][1] > points[high][1] ? end : high;
    }
    for (const at of [...new Set([start, low, high, end])].sort((a, b) => a - b)) {
      found.push(points[at]);
    }
    start = end + 1;
  }
  return found;
}

/** The index of the point nearest to x, or -1. */
export function nearest(points: readonly XY[], x: number): number {
  let low = 0;
  let high = points.length - 1;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (points[middle][0] < x) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low > 0 && x - points[low - 1][0] <= points[low][0] - x ? low - 1 : points.length ? low : -1;
}

/** The lowest and highest of the values, or null where there are none. */
export function extent(values: Iterable<number | null>, counts: (value: number) => boolean): [number, number] | null {
  let low = Infinity;
  let high = -Infinity;
  for (const value of values) {
    if (value !== null && counts(value)) {
      low = value < low ? value : low;
      high = value > high ? value : high;
    }
  }
  return low <= high ? [low, high] : null;
}

/** The metrics of one run as curves, by key. Points that all have one step are drawn in the order of time. */
export function curvesOf(points: readonly Point[]): Map<string, XY[]> {
  const byKey = new Map<string, Point[]>();
  for (const point of points) {
    const some = byKey.get(point.key);
    if (some) {
      some.push(point);
    } else {
      byKey.set(point.key, [point]);
    }
  }
  const found = new Map<string, XY[]>();
  for (const [key, some] of [...byKey].sort(([a], [b]) => (a < b ? -1 : 1))) {
    const flat = some.length > 1 && some.every(each => each.step === some[0].step);
    some.sort((a, b) => a.step - b.step || (a.time < b.time ? -1 : a.time > b.time ? 1 : 0));
    found.set(
      key,
      some.map((each, at): XY => [flat ? at : each.step, each.value])
    );
  }
  return found;
}
