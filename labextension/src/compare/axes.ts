/** The axes of parallel coordinates: one for each parameter that differs and each result that is a number. No DOM here. */
import { Comparison } from '../api/types';
import { value as shown } from '../format';

export interface IAxis {
  name: string;
  section: string;
  /** Whether its places are by orders of magnitude. */
  log: boolean;
  /** How many different values there are. */
  distinct: number;
  /** Where each run stands, 0 at the bottom to 1; null where it has no such value. */
  at: (number | null)[];
  /** Texts beside the axis, with their places. */
  ticks: { at: number; text: string }[];
}

/** What was chosen on an axis, from and to, 0 at the bottom to 1. */
export type Range = readonly [number, number];

const SECTIONS = new Set(['parameters', 'results']);
const MOST = 12;
/** From so many times the lowest on, a parameter goes by orders of magnitude. */
const WIDE = 100;

export const axisKey = (axis: IAxis) => `${axis.section} ${axis.name}`;

export function axesOf(comparison: Pick<Comparison, 'rows'>): IAxis[] {
  const found: IAxis[] = [];
  for (const row of comparison.rows) {
    if (!SECTIONS.has(row.section)) {
      continue;
    }
    const given = row.values.filter(each => each !== null && each !== undefined);
    const distinct = [...new Set(given.map(each => JSON.stringify(each)))];
    if (distinct.length < 2) {
      continue;
    }
    const named = { name: row.name, section: row.section, distinct: distinct.length };
    const numbers = given.every(each => typeof each === 'number' && Number.isFinite(each));
    if (numbers) {
      const low = Math.min(...(given as number[]));
      const high = Math.max(...(given as number[]));
      const log = row.section === 'parameters' && low > 0 && high / low >= WIDE;
      const of = log ? Math.log : (each: number) => each;
      found.push({
        ...named,
        log,
        at: row.values.map(each => (typeof each === 'number' ? (of(each) - of(low)) / (of(high) - of(low)) : null)),
        ticks: [
          { at: 0, text: shown(low) },
          { at: 1, text: shown(high) }
        ]
      });
    } else if (row.section === 'parameters' && distinct.length <= MOST) {
      const places = new Map(distinct.map((text, index) => [text, index / (distinct.length - 1)]));
      found.push({
        ...named,
        log: false,
        at: row.values.map(each => (each === null || each === undefined ? null : places.get(JSON.stringify(each))!)),
        ticks: [...places].map(([text, at]) => ({ at, text: shown(JSON.parse(text)) }))
      });
    }
  }
  return found;
}

/**
 * The axes that are drawn at first, by their keys: all if there are few, else the parameters with the most different values, and the
 * first results.
 */
export function firstAxes(axes: readonly IAxis[], most = 9): Set<string> {
  const results = axes.filter(each => each.section === 'results');
  const others = axes.filter(each => each.section !== 'results');
  const room = Math.max(most - results.length, Math.ceil((2 * most) / 3));
  const kept = [...others].sort((one, other) => other.distinct - one.distinct).slice(0, room);
  return new Set([...kept, ...results.slice(0, most - kept.length)].map(axisKey));
}

/** The runs, by their places in the list, that are in all ranges; null where nothing is chosen. */
export function within(axes: readonly IAxis[], ranges: ReadonlyMap<string, Range>): Set<number> | null {
  const chosen = axes.filter(axis => ranges.has(axisKey(axis)));
  if (!chosen.length) {
    return null;
  }
  const found = new Set<number>();
  chosen[0].at.forEach((_, run) => {
    const fits = chosen.every(axis => {
      const [low, high] = ranges.get(axisKey(axis))!;
      const at = axis.at[run];
      return at !== null && at !== undefined && at >= low && at <= high;
    });
    if (fits) {
      found.add(run);
    }
  });
  return found;
}
