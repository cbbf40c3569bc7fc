/** The text of a run's journal, as a terminal would show it. */
import { Entry } from '../api/types';
import { coloursAfter, terminal } from '../format';

const LIMIT = 1_000_000;
const LINES = 200;
const DRAWN = 10_000;
/** What the next entry goes on with: a return of the carriage, or the beginning of an order. */
const UNFINISHED = /((?:\r+|\u001b[^a-zA-Z]{0,20})?)$/;

/** Some lines; what is finished stays as it is, so that only the last block is drawn anew. */
export interface IBlock {
  readonly id: number;
  readonly text: string;
}

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

/**
 * Adds entries in their order, each once; a new attempt begins anew. Kept are blocks of lines with their colours, and of a very long log
 * only the end.
 */
export class Log {
  last = -1;
  /** Whether the beginning was left out. */
  cut = false;
  private _blocks: IBlock[] = [];
  private _size = 0;
  private _open = '';
  private _id = 0;

  add(entries: readonly Entry[]): void {
    for (const entry of entries) {
      // an unreadable line has no number
      if (entry.n >= 0 && entry.n <= this.last) {
        continue;
      }
      this.last = Math.max(this.last, entry.n);
      if (entry.type === 'attempt') {
        this._blocks = [];
        this._size = 0;
        this._open = '';
        this.cut = false;
        // the open block has a number of its own in each attempt
        this._id++;
      } else {
        this._open += textOf(entry);
      }
    }
    if (this._open.length > DRAWN && this._open.includes('\r')) {
      // a progress bar that is drawn over itself has no end of line for long; what is drawn over is gone
      const [, rest] = UNFINISHED.exec(this._open)!;
      this._open = terminal(this._open.slice(0, this._open.length - rest.length)) + rest;
    }
    this._close();
  }

  /** Blocks with the same id and text are the same object. */
  get blocks(): readonly IBlock[] {
    const open = terminal(this._open);
    return open ? [...this._blocks, { id: this._id, text: open }] : [...this._blocks];
  }

  get text(): string {
    return this.blocks.map(each => each.text).join('');
  }

  /** Finished lines become blocks. */
  private _close(): void {
    for (;;) {
      let at = -1;
      for (let count = 0; count < LINES; count++) {
        at = this._open.indexOf('\n', at + 1);
        if (at < 0) {
          break;
        }
      }
      // a line without end is cut somewhere
      at = at < 0 && this._open.length > LIMIT / 10 ? LIMIT / 10 : at;
      if (at < 0) {
        break;
      }
      const text = terminal(this._open.slice(0, at + 1));
      this._blocks.push({ id: this._id++, text });
      this._size += text.length;
      this._open = coloursAfter(text) + this._open.slice(at + 1);
    }
    let away = 0;
    while (this._size > LIMIT && away < this._blocks.length - 1) {
      this._size -= this._blocks[away++].text.length;
      this.cut = true;
    }
    this._blocks = away ? this._blocks.slice(away) : this._blocks;
  }
}
