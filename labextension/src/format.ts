/** Figures and times as people read them. */
import { stringify } from './api/json';
import type { RunSummary } from './api/types';

/** Seconds as `0.8 s`, `42 s`, `3 min 5 s`, `2 h 10 min`. */
export function duration(seconds: number | null | undefined): string {
  if (seconds === null || seconds === undefined || !Number.isFinite(seconds)) {
    return '';
  }
  if (seconds < 10) {
    return `${Math.max(0, seconds).toFixed(1)} s`;
  }
  const whole = Math.round(seconds);
  if (whole < 60) {
    return `${whole} s`;
  }
  if (whole < 3600) {
    return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  }
  const minutes = Math.round(whole / 60);
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

export function bytes(size: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  let at = 0;
  while (size >= 1000 && at < units.length - 1) {
    size /= 1000;
    at++;
  }
  return `${at && size < 100 ? size.toFixed(1) : Math.round(size)} ${units[at]}`;
}

/** A value on one line; floats with four digits, times of UTC without what says so. */
export function value(of: unknown): string {
  if (typeof of === 'number') {
    return Number.isInteger(of) ? String(of) : String(Number(of.toPrecision(4)));
  }
  if (typeof of !== 'string') {
    return stringify(of);
  }
  // a time in UTC, without the fractions that it does not have
  const time = /^(\d{4}-\d\d-\d\d)T(\d\d:\d\d:\d\d)(\.\d*?)?0*(?:\+00:00|Z)$/.exec(of);
  return time ? `${time[1]} ${time[2]}${(time[3] ?? '').length > 1 ? time[3] : ''}` : of;
}

/** How long ago an ISO time was, for narrow places. */
export function ago(iso: string, now = Date.now()): string {
  const then = Date.parse(iso);
  if (Number.isNaN(then)) {
    return '';
  }
  const seconds = Math.max(0, (now - then) / 1000);
  if (seconds >= 2 * 365 * 86400) {
    return `${Math.floor(seconds / (365 * 86400))} y`;
  }
  const steps: [number, string][] = [
    [86400, 'd'],
    [3600, 'h'],
    [60, 'min']
  ];
  for (const [size, unit] of steps) {
    if (seconds >= size) {
      return `${Math.floor(seconds / size)} ${unit}`;
    }
  }
  return 'now';
}

/** How far a run is: of its cells, or of the iterations of a sweep. `of` is 0 while that is not known. */
export function progressOf(run: Pick<RunSummary, 'progress' | 'is_sweep'>): { done: number; of: number; text: string } {
  const { cell = 0, of = 0, text = '' } = run.progress;
  // the cell that runs now is not done
  return { done: run.is_sweep ? cell : Math.max(0, cell - 1), of, text: text || (of ? `${cell} / ${of}` : '') };
}

/** All that a terminal obeys except colours: where the cursor goes, the title of its window. */
const ORDERS = new RegExp('\\u001b(?:\\[[0-9;?]*[A-Za-ln-z@`]|\\][^\\u0007\\u001b]*(?:\\u0007|\\u001b\\\\))', 'g');

/** Text as it is left in a terminal, with its colours; of a line drawn over itself only what was last. */
export function terminal(text: string): string {
  const clean = text.includes('\u001b') ? text.replace(ORDERS, '') : text;
  if (!clean.includes('\r')) {
    return clean;
  }
  // not by a regular expression, which would try a long line from each of its letters
  return clean
    .replace(/\r+\n/g, '\n')
    .split('\n')
    .map(line => line.slice(line.lastIndexOf('\r', line.length - 2) + 1))
    .join('\n');
}

const COLOURS = new RegExp('\\u001b\\[([0-9;]*)m', 'g');

/** The colours that are still on at the end of a text, to be put in front of what follows it. */
export function coloursAfter(text: string): string {
  let on = '';
  for (const [order, codes] of text.matchAll(COLOURS)) {
    on = codes === '' || /^0+$/.test(codes) ? '' : on + order;
  }
  return on;
}
