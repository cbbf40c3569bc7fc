/** The axes of parallel coordinates: one for each parameter that differs and each result that is a number. */
import { Comparison } from '../api/types';
import { value as shown } from '../format';

export interface IAxis {
  name: string;
  section: string;
  /** Where each run stands, 0 at the bottom to 1; null where it has no such value. */
  at: (number | null)[];
  /** Texts beside the axis, with their places. */
  ticks: { at: number; text: string }[];
}

const SECTIONS = new Set(['parameters', 'results']);
const MOST = 12;

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
    const numbers = given.every(each => typeof each === 'number' && Number.isFinite(each));
    if (numbers) {
      const low = Math.min(...(given as number[]));
      const high = Math.max(...(given as number[]));
      found.push({
        name: row.name,
        section: row.section,
        at: row.values.map(each => (typeof each === 'number' ? (each - low) / (high - low) : null)),
        ticks: [
          { at: 0, text: shown(low) },
          { at: 1, text: shown(high) }
        ]
      });
    } else if (row.section === 'parameters' && distinct.length <= MOST) {
      const places = new Map(distinct.map((text, index) => [text, index / (distinct.length - 1)]));
      found.push({
        name: row.name,
        section: row.section,
        at: row.values.map(each => (each === null || each === undefined ? null : places.get(JSON.stringify(each))!)),
        ticks: [...places].map(([text, at]) => ({ at, text: shown(JSON.parse(text)) }))
      });
    }
  }
  return found;
}
