/** Follows the `%%mlrun` cells of one notebook: reads them anew when something changes, and shows what was found. */
import { Cell, CodeCell } from '@jupyterlab/cells';
import { PathExt } from '@jupyterlab/coreutils';
import { NotebookPanel } from '@jupyterlab/notebook';
import { TranslationBundle } from '@jupyterlab/translation';
import { IDisposable } from '@lumino/disposable';
import { Message } from '@lumino/messaging';
import { PanelLayout } from '@lumino/widgets';
import { ApiError } from '../api/client';
import { Analysis, Page, RunSummary, TERMINAL } from '../api/types';
import type { IModel } from '../tokens';
import { Badge, IBadgeActions } from './badge';
import { Executed } from './executed';
import { isFunctionCell } from './line';
import { underline } from './underline';
import { lastRun, marks, verdictOf } from './verdict';

export interface IWatchOptions {
  model: IModel;
  trans: TranslationBundle;
  badges(): boolean;
  underlines(): boolean;
  openRun(uid: string): void;
  openFunction(project: string, name: string): void;
  edit(): void;
}

const DELAY = 400;

export class Watch implements IDisposable {
  readonly executed: Executed;
  private _cells = new Map<Cell, Followed>();
  private _known = new WeakSet<Cell>();
  private _disposed = false;
  private _online: boolean | null = null;

  constructor(
    readonly panel: NotebookPanel,
    readonly options: IWatchOptions
  ) {
    this.executed = new Executed(panel);
    this.executed.changed.connect(this.refresh, this);
    panel.content.modelChanged.connect(this._onModel, this);
    options.model.changed.connect(this._onState, this);
    panel.disposed.connect(this.dispose, this);
    this._onModel();
  }

  get isDisposed(): boolean {
    return this._disposed;
  }

  get project(): string {
    return this.executed.project() || this.options.model.project;
  }

  /** The notebook's folder, from the server's. */
  get folder(): string {
    return PathExt.dirname(this.panel.context.localPath);
  }

  /** Reads all that are in sight anew, the others when they come into sight. */
  refresh(): void {
    this._cells.forEach(each => each.want());
  }

  /** Settings have changed. */
  redraw(): void {
    this._scan();
    this._cells.forEach(each => each.draw());
  }

  dispose(): void {
    if (this._disposed) {
      return;
    }
    this._disposed = true;
    this.executed.dispose();
    this.options.model.changed.disconnect(this._onState, this);
    this.panel.content.modelChanged.disconnect(this._onModel, this);
    [...this._cells.values()].forEach(each => each.dispose());
    this._cells.clear();
  }

  private _onModel(): void {
    this.panel.content.model?.cells.changed.connect(this._onCells, this);
    this._onCells();
  }

  private _onCells(): void {
    // the notebook makes its widgets in the same turn, before or after we hear of it
    void Promise.resolve().then(() => !this._disposed && this._scan());
  }

  private _scan(): void {
    for (const cell of this.panel.content.widgets) {
      if (!this._known.has(cell) && cell instanceof CodeCell) {
        this._known.add(cell);
        cell.model.contentChanged.connect(() => this._check(cell));
        cell.disposed.connect(() => this._forget(cell));
      }
      this._check(cell, true);
    }
  }

  private _check(cell: Cell, quiet = false): void {
    if (this._disposed || cell.isDisposed || !(cell instanceof CodeCell)) {
      return;
    }
    const followed = this._cells.get(cell);
    if (!isFunctionCell(cell.model.sharedModel.getSource())) {
      this._forget(cell);
    } else if (!followed) {
      this._cells.set(cell, new Followed(cell, this));
    } else if (!quiet) {
      followed.want();
    }
  }

  private _forget(cell: Cell): void {
    this._cells.get(cell)?.dispose();
    this._cells.delete(cell);
  }

  private _onState(): void {
    const online = this.options.model.online;
    if (online && this._online === false) {
      this.refresh();
    }
    this._online = online;
    this._cells.forEach(each => each.draw());
  }
}

/** A badge that says when it comes into sight. */
class SeenBadge extends Badge {
  onSeen: (seen: boolean) => void = () => undefined;
  private _observer: IntersectionObserver | null = null;

  protected onAfterAttach(message: Message): void {
    super.onAfterAttach(message);
    this._observer = new IntersectionObserver(entries => this.onSeen(entries[entries.length - 1].isIntersecting));
    this._observer.observe(this.node);
  }

  protected onBeforeDetach(message: Message): void {
    this._observer?.disconnect();
    this.onSeen(false);
    super.onBeforeDetach(message);
  }
}

class Followed {
  private _analysis: Analysis | null = null;
  private _run: RunSummary | null = null;
  private _offline = false;
  private _project = '';
  private _seen = false;
  private _stale = true;
  private _turn = 0;
  private _timer: ReturnType<typeof setTimeout> | undefined;
  private _badge: SeenBadge | null = null;
  private _disposed = false;
  private _held: { uid: string; hold: IDisposable } | null = null;

  constructor(
    private readonly _cell: CodeCell,
    private readonly _watch: Watch
  ) {
    void _cell.ready.then(() => this._attach());
    _watch.options.model.runChanged.connect(this._onRun, this);
  }

  /** What is known is old; read it again when the user has paused and looks at it. */
  want(): void {
    this._stale = true;
    clearTimeout(this._timer);
    if (this._seen && !this._disposed) {
      this._timer = setTimeout(() => void this._read(), DELAY);
    }
  }

  draw(): void {
    const { model, badges } = this._watch.options;
    if (this._disposed || !this._badge) {
      return;
    }
    this._badge.setHidden(!badges());
    const name = this._analysis?.name ?? '';
    const project = this._project;
    const here = project === model.project;
    const known = here ? model.functions.items.find(each => each.name === name)?.hash : undefined;
    const latest = known ?? this._analysis?.latest_hash ?? '';
    this._run = (here && lastRun(model.runs.items, project, name)) || this._run;
    this._badge.display({
      name,
      latest,
      verdict: verdictOf(this._analysis, latest),
      analysis: this._analysis,
      run: this._run?.function.startsWith(`${project}/${name}@`) ? this._run : null,
      offline: this._offline
    });
  }

  dispose(): void {
    this._disposed = true;
    clearTimeout(this._timer);
    this._watch.options.model.runChanged.disconnect(this._onRun, this);
    this._hold('');
    this._badge?.dispose();
    if (!this._cell.isDisposed) {
      underline(this._cell, null);
    }
  }

  /** The stream tells of the project of the panel; a run of another, while it goes on, has to be asked for by name. */
  private _hold(uid: string): void {
    if (this._held?.uid !== uid) {
      this._held?.hold.dispose();
      this._held = uid ? { uid, hold: this._watch.options.model.watch(uid) } : null;
    }
  }

  private _onRun(_: unknown, next: RunSummary): void {
    if (next.uid === this._held?.uid) {
      this._run = next;
      if (TERMINAL.has(next.state)) {
        this._hold('');
      }
      this.draw();
    }
  }

  private _attach(): void {
    const layout = this._cell.layout;
    if (this._disposed || this._cell.isDisposed || !(layout instanceof PanelLayout)) {
      return;
    }
    const { openRun, openFunction, edit, trans } = this._watch.options;
    const actions: IBadgeActions = {
      openRun,
      openFunction: () => openFunction(this._project, this._analysis?.name ?? ''),
      edit: () => {
        this._activate();
        edit();
      },
      showProblem: () => this._showProblem()
    };
    const empty = { name: '', verdict: 'waiting', latest: '', analysis: null, run: null, offline: false } as const;
    this._badge = new SeenBadge(empty, actions, trans);
    this._badge.onSeen = seen => {
      this._seen = seen;
      if (seen && this._stale) {
        this.want();
      }
    };
    const input = layout.widgets.findIndex(each => each.hasClass('jp-Cell-inputWrapper'));
    layout.insertWidget(input + 1, this._badge);
    this.draw();
  }

  private _activate(): void {
    const notebook = this._watch.panel.content;
    notebook.activeCellIndex = notebook.widgets.indexOf(this._cell);
  }

  private _showProblem(): void {
    const editor = this._cell.editor;
    if (!editor || !this._analysis) {
      return;
    }
    this._activate();
    this._watch.panel.content.mode = 'edit';
    const [first] = marks(this._analysis, this._cell.model.sharedModel.getSource());
    const position = first && editor.getPositionAt(first.from);
    if (position) {
      editor.setCursorPosition(position);
    }
    editor.focus();
  }

  private async _read(): Promise<void> {
    const turn = ++this._turn;
    const { model, underlines } = this._watch.options;
    const source = this._cell.model.sharedModel.getSource();
    // found in all cells of the notebook, so not at each drawing
    const project = (this._project = this._watch.project);
    this._stale = false;
    try {
      const analysis = await model.client.send<Analysis>('POST', 'cells/analyse', {
        source,
        project,
        cells: this._watch.executed.cells(this._cell.model.id),
        folder: this._watch.folder
      });
      // what the stream does not tell is asked for: runs of other projects, and of long ago
      const known = project === model.project && lastRun(model.runs.items, project, analysis.name);
      let run: RunSummary | null = known || null;
      if (!run && project && analysis.name && analysis.latest_hash) {
        const path = `projects/${encodeURIComponent(project)}/runs`;
        run = (await model.client.get<Page<RunSummary>>(path, { function: analysis.name, limit: 1 })).items[0] ?? null;
      }
      if (turn !== this._turn || this._disposed) {
        return;
      }
      this._analysis = analysis;
      this._run = run;
      this._hold(run && project !== model.project && !TERMINAL.has(run.state) ? run.uid : '');
      this._offline = false;
    } catch (error) {
      if (turn !== this._turn || this._disposed) {
        return;
      }
      this._offline = error instanceof ApiError && error.offline;
      this._stale = true;
      console.debug('MLRun: a cell could not be read', error);
    }
    if (source === this._cell.model.sharedModel.getSource()) {
      underline(this._cell, underlines() ? this._analysis : null);
    }
    this.draw();
  }
}
