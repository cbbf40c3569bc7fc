/** The text of a run's journal, as a terminal would show it. */
import { Entry } from '../api/types';
import { plain } from '../format';

const LIMIT = 500_000;

/** The text of one entry, or nothing. */
export function textOf(entry: Entry): string {
  if (entry.type === 'stream') {
    return entry.text ?? '';
  }
  if (entry.type === 'note') {
    return `[mlrun] ${entry.text}\n`;
  }
  if (entry.type === 'update' && entry.line) {
    return `${entry.data?.['text/plain'] ?? ''}\n`;
  }
  if (entry.type === 'output' && entry.output) {
    const { output_type: kind, traceback, ename, evalue, data } = entry.output;
    if (kind === 'error') {
      return (traceback?.length ? traceback.join('\n') : `${ename}: ${evalue}`) + '\n';
    }
    const text = data?.['text/plain'] ?? '';
    return (Array.isArray(text) ? text.join('') : String(text)) + '\n';
  }
  return '';
}

/** Adds entries in their order, each once; a new attempt begins anew. Only the last {@link LIMIT} characters are kept. */
export class Log {
  last = -1;
  private _raw = '';

  add(entries: readonly Entry[]): void {
    for (const entry of entries) {
      // an unreadable line has no number
      if (entry.n >= 0 && entry.n <= this.last) {
        continue;
      }
      this.last = Math.max(this.last, entry.n);
      this._raw = entry.type === 'attempt' ? '' : this._raw + textOf(entry);
    }
    this._raw = this._raw.slice(-LIMIT);
  }

  get text(): string {
    return plain(this._raw);
  }
}
