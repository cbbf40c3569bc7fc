/** Which cells of a notebook were executed, in what order, with what text. */
import { ICodeCellModel } from '@jupyterlab/cells';
import { Notebook, NotebookActions, NotebookPanel } from '@jupyterlab/notebook';
import { IDisposable } from '@lumino/disposable';
import { ISignal, Signal } from '@lumino/signaling';
import type { CellToAnalyse } from '../api/types';
import { projectIn } from './line';

type Sent = NonNullable<CellToAnalyse['cells']>[number];

interface IRecord {
  source: string;
  /** Grows with each restart of the kernel; counts begin anew then. */
  epoch: number;
  ok: boolean;
}

/** The most cells that the server takes. */
const MOST = 5000;

export class Executed implements IDisposable {
  private _records = new WeakMap<object, IRecord>();
  private _epoch = 1;
  private _changed = new Signal<this, void>(this);
  private _disposed = false;

  constructor(private readonly _panel: NotebookPanel) {
    NotebookActions.executionScheduled.connect(this._onScheduled, this);
    NotebookActions.executed.connect(this._onExecuted, this);
    _panel.sessionContext.statusChanged.connect(this._onStatus, this);
  }

  /** A cell was executed. */
  get changed(): ISignal<this, void> {
    return this._changed;
  }

  get isDisposed(): boolean {
    return this._disposed;
  }

  /** All cells but one: the executed ones in order, then those that were not. */
  cells(except: string): Sent[] {
    const done: { order: [number, number]; sent: Sent }[] = [];
    const others: Sent[] = [];
    for (const cell of this._panel.content.model?.cells ?? []) {
      if (cell.type !== 'code' || cell.id === except) {
        continue;
      }
      const count = (cell as ICodeCellModel).executionCount;
      const record = this._records.get(cell);
      if (count) {
        const source = record?.source ?? cell.sharedModel.getSource();
        const order: [number, number] = [record?.epoch ?? 0, count];
        done.push({ order, sent: { source, execution_count: count, ok: record?.ok ?? true } });
      } else {
        others.push({ source: cell.sharedModel.getSource(), execution_count: null, ok: true });
      }
    }
    done.sort((a, b) => a.order[0] - b.order[0] || a.order[1] - b.order[1]);
    return [...done.map(each => each.sent).slice(-MOST), ...others.slice(0, Math.max(0, MOST - done.length))];
  }

  /** The project that the notebook chose last, as far as its text tells. */
  project(): string {
    const cells = this.cells('');
    for (const executed of [true, false]) {
      for (let at = cells.length - 1; at >= 0; at--) {
        if ((cells[at].execution_count !== null) === executed) {
          const found = projectIn(cells[at].source);
          if (found) {
            return found;
          }
        }
      }
    }
    return '';
  }

  dispose(): void {
    this._disposed = true;
    NotebookActions.executionScheduled.disconnect(this._onScheduled, this);
    NotebookActions.executed.disconnect(this._onExecuted, this);
    Signal.clearData(this);
  }

  private _onScheduled(
    _: unknown,
    { notebook, cell }: { notebook: Notebook; cell: Notebook['widgets'][number] }
  ): void {
    if (notebook === this._panel.content && cell.model.type === 'code') {
      this._records.set(cell.model, { source: cell.model.sharedModel.getSource(), epoch: this._epoch, ok: true });
    }
  }

  private _onExecuted(
    _: unknown,
    { notebook, cell, success }: { notebook: Notebook; cell: Notebook['widgets'][number]; success: boolean }
  ): void {
    if (notebook !== this._panel.content) {
      return;
    }
    const record = this._records.get(cell.model);
    if (record) {
      record.ok = success;
    }
    this._changed.emit();
  }

  private _onStatus(_: unknown, status: string): void {
    if (status === 'restarting' || status === 'autorestarting') {
      this._epoch++;
    }
  }
}
