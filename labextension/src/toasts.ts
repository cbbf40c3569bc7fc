/** One toast for a run that ends; several that end together share one. */
import { Notification } from '@jupyterlab/apputils';
import { TranslationBundle } from '@jupyterlab/translation';
import { ReadonlyPartialJSONObject } from '@lumino/coreutils';
import type { RunSummary } from './api/types';
import { Commands } from './commands';

export type Which = 'all' | 'failed' | 'none';

/** What a setting says; an earlier one was yes or no. */
export function whichOf(setting: unknown): Which {
  if (setting === 'failed' || setting === 'none') {
    return setting;
  }
  return setting === false ? 'none' : 'all';
}

const TOGETHER = 700;

export class Toasts {
  which: Which = 'all';
  private _ended: RunSummary[] = [];
  private _timer: ReturnType<typeof setTimeout> | undefined;

  constructor(
    private readonly _trans: TranslationBundle,
    private readonly _execute: (command: string, args: ReadonlyPartialJSONObject) => void
  ) {}

  add(run: RunSummary): void {
    // children of a sweep or a workflow are told of by what started them
    if (
      run.iteration ||
      run.parent ||
      this.which === 'none' ||
      (this.which === 'failed' && run.state === 'completed')
    ) {
      return;
    }
    this._ended.push(run);
    clearTimeout(this._timer);
    this._timer = setTimeout(() => this._show(), TOGETHER);
  }

  private _show(): void {
    const runs = this._ended.splice(0);
    const failed = runs.filter(run => run.state !== 'completed');
    if (runs.length === 1) {
      this._one(runs[0]);
      return;
    }
    const panel = { label: this._trans.__('Show'), callback: () => this._execute(Commands.showPanel, {}) };
    const text = this._trans.__('%1 runs have ended.', runs.length);
    if (failed.length) {
      const names = [...new Set(failed.map(run => run.name))].slice(0, 5).join(', ');
      const more = this._trans._n(
        '%1 did not complete: %2.',
        '%1 did not complete: %2.',
        failed.length,
        failed.length,
        names
      );
      Notification.error(`${text} ${more}`, { autoClose: false, actions: [panel] });
    } else {
      Notification.success(text, { autoClose: 5000, actions: [panel] });
    }
  }

  private _one(run: RunSummary): void {
    const open = { label: this._trans.__('Open'), callback: () => this._execute(Commands.openRun, { uid: run.uid }) };
    if (run.state === 'completed') {
      Notification.success(this._trans.__('%1 has completed.', run.name), { autoClose: 5000, actions: [open] });
    } else {
      const text = [this._trans.__('%1 did not complete.', run.name), run.cause].filter(Boolean).join(' ');
      Notification.error(text, { autoClose: false, actions: [open] });
    }
  }
}
