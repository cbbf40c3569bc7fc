/** What the panel and the views show: lists kept up to date by one stream of events. No DOM here. */
import { IDisposable } from '@lumino/disposable';
import { ISignal, Signal } from '@lumino/signaling';
import { ApiError, IClient, Query } from './api/client';
import {
  ArtifactSummary,
  Entry,
  Event,
  FeatureSummary,
  FunctionSummary,
  Page,
  Project,
  RunSummary,
  State,
  Status,
  TERMINAL
} from './api/types';

const PAGE = 200;
const GOING: readonly State[] = ['created', 'pending', 'running'];

export type Phase = 'loading' | 'ready' | 'error';

/** A listing that is read page by page as the user scrolls. */
export class Listing<T> {
  items: T[] = [];
  phase: Phase = 'loading';
  error: ApiError | null = null;
  /** Why a further page could not be read; what is there stays. */
  moreError: ApiError | null = null;
  private _next = '';
  private _busy = false;
  private _turn = 0;
  private _query: Query = {};
  private _matches: (item: T) => boolean = () => true;
  /** What was told while a page is read: its answer may be older. */
  private _heard: (() => void)[] | null = null;

  constructor(
    private readonly _read: (query: Query) => Promise<Page<T>>,
    private readonly _key: (item: T) => string,
    private readonly _changed: () => void,
    /** The time of an item, where old ones may be told of: newest first. */
    private readonly _time?: (item: T) => string
  ) {}

  /** How many are known, with a `+` where there are more. */
  get count(): string {
    return this.phase === 'ready' ? `${this.items.length}${this.more ? '+' : ''}` : '';
  }

  get more(): boolean {
    return this._next !== '';
  }

  /** Whether conditions are set. */
  get narrowed(): boolean {
    return Object.values(this._query).some(each => (Array.isArray(each) ? each.length > 0 : !!each));
  }

  /**
   * Shows only what the server finds for the conditions.
   * @param matches the same conditions, for what the stream tells.
   */
  narrow(query: Query, matches: (item: T) => boolean): Promise<void> {
    this._query = query;
    this._matches = matches;
    this._next = '';
    this.phase = 'loading';
    return this.refresh();
  }

  /** Reads the first page again; what is shown stays until the answer is there. */
  async refresh(): Promise<void> {
    const turn = ++this._turn;
    this._busy = true;
    this._heard = [];
    try {
      const page = await this._read({ ...this._query, limit: PAGE });
      if (turn !== this._turn) {
        return;
      }
      this.items = page.items;
      this._next = page.next_page_token;
      this._hearAgain();
      this.phase = 'ready';
      this.error = null;
      this.moreError = null;
    } catch (error) {
      if (turn !== this._turn) {
        return;
      }
      this.phase = 'error';
      this.error = asApiError(error);
    }
    this._busy = false;
    this._heard = null;
    this._changed();
  }

  private _hearAgain(): void {
    const heard = this._heard ?? [];
    this._heard = null;
    heard.forEach(each => each());
  }

  async readMore(): Promise<void> {
    if (this._busy || !this._next) {
      return;
    }
    const turn = this._turn;
    this._busy = true;
    this._heard = [];
    try {
      const page = await this._read({ ...this._query, limit: PAGE, page_token: this._next });
      if (turn === this._turn) {
        const known = new Set(this.items.map(this._key));
        this.items = [...this.items, ...page.items.filter(item => !known.has(this._key(item)))];
        this._next = page.next_page_token;
        this.moreError = null;
        this._hearAgain();
      }
    } catch (error) {
      if (turn === this._turn) {
        this.moreError = asApiError(error);
      }
    } finally {
      if (turn === this._turn) {
        this._busy = false;
        this._heard = null;
        this._changed();
      }
    }
  }

  /** Puts an item where it belongs, or in the place of the one with its key; away with it where it does not match. */
  put(item: T): void {
    this._heard?.push(() => this.put(item));
    this._place(item);
  }

  private _place(item: T): void {
    const key = this._key(item);
    if (!this._matches(item)) {
      this._drop(key);
      return;
    }
    const at = this.items.findIndex(each => this._key(each) === key);
    if (at >= 0) {
      this.items = this.items.map((each, index) => (index === at ? item : each));
      return;
    }
    const time = this._time;
    const place = time ? this.items.findIndex(each => time(each) <= time(item)) : 0;
    if (place >= 0 || !this.items.length) {
      this.items = [...this.items.slice(0, Math.max(0, place)), item, ...this.items.slice(Math.max(0, place))];
    } else if (!this.more) {
      this.items = [...this.items, item];
    }
    // else it is older than all that were read, and comes with its page
  }

  /** Changes what is shown; nothing comes or goes. */
  change(by: (item: T) => T): void {
    this._heard?.push(() => this.change(by));
    this.items = this.items.map(by);
  }

  remove(key: string): void {
    this._heard?.push(() => this.remove(key));
    this._drop(key);
  }

  private _drop(key: string): void {
    this.items = this.items.filter(each => this._key(each) !== key);
  }

  clear(): void {
    this._turn++;
    this._busy = false;
    this._heard = null;
    this.items = [];
    this._next = '';
    this.phase = 'loading';
    this.error = null;
    this.moreError = null;
  }
}

const iterationOf = (uri: string) => /#(\d+)/.exec(uri)?.[1] ?? '0';

/** Whether an artifact has a tag that another one of its key has now. */
function hasLost(one: ArtifactSummary, other: ArtifactSummary): boolean {
  return (
    one.uri !== other.uri &&
    one.db_key === other.db_key &&
    one.project === other.project &&
    iterationOf(one.uri) === iterationOf(other.uri) &&
    one.tags.some(tag => other.tags.includes(tag))
  );
}

export function asApiError(error: unknown): ApiError {
  return error instanceof ApiError ? error : new ApiError(-1, 'Something went wrong.', String(error), 'Try again.');
}

export class Model implements IDisposable {
  project = '';
  projects: Project[] = [];
  online: boolean | null = null;
  startError: ApiError | null = null;
  readonly runs: Listing<RunSummary>;
  readonly functions: Listing<FunctionSummary>;
  readonly artifacts: Listing<ArtifactSummary>;
  readonly models: Listing<ArtifactSummary>;
  readonly features: Listing<FeatureSummary>;
  private _changed = new Signal<this, void>(this);
  private _ended = new Signal<this, RunSummary>(this);
  private _journal = new Signal<this, { uid: string; entries: Entry[] }>(this);
  private _run = new Signal<this, RunSummary>(this);
  private _artifact = new Signal<this, ArtifactSummary>(this);
  private _feature = new Signal<this, FeatureSummary>(this);
  private _function = new Signal<this, FunctionSummary>(this);
  private _deleted = new Signal<this, string>(this);
  private _missed = new Signal<this, void>(this);
  private _going = new Set<string>();
  /** What was told while the runs that go on are asked for: the answer may be older. */
  private _goingHeard: (() => void)[] = [];
  private _goingTurn = 0;
  private _watched = new Map<string, number>();
  private _stop = new AbortController();
  private _lastId = '';
  /** The event that the stream was opened after; empty: it tells of what comes. */
  private _from = '';
  private _paused = false;
  private _disposed = false;
  private _streaming = false;
  private _retry = 0;
  private _timer: ReturnType<typeof setTimeout> | undefined;
  private _startTimer: ReturnType<typeof setTimeout> | undefined;

  constructor(
    readonly client: IClient,
    private readonly _waits: readonly number[] = [1000, 2000, 5000, 10000, 30000]
  ) {
    const changed = () => this._changed.emit();
    const at =
      (what: string, more: Query = {}) =>
      <T>(query: Query) =>
        client.get<Page<T>>(`projects/${encodeURIComponent(this.project)}/${what}`, { ...more, ...query });
    this.runs = new Listing<RunSummary>(
      at('runs'),
      run => run.uid,
      changed,
      // uids begin with the time
      run => run.uid
    );
    this.functions = new Listing<FunctionSummary>(at('functions', { latest: true }), each => each.name, changed);
    this.artifacts = new Listing<ArtifactSummary>(
      at('artifacts'),
      each => each.uri,
      changed,
      each => each.created
    );
    this.models = new Listing<ArtifactSummary>(
      at('artifacts', { kind: 'model' }),
      each => each.uri,
      changed,
      each => each.created
    );
    this.features = new Listing<FeatureSummary>(
      at('features'),
      each => `${each.kind}/${each.name}`,
      changed,
      // sets before vectors, as the server gives them
      each => `${each.kind === 'feature-set' ? 1 : 0} ${each.created}`
    );
  }

  /** Anything in the lists changed. */
  get changed(): ISignal<this, void> {
    return this._changed;
  }

  /** A run that was seen going on has ended. */
  get runEnded(): ISignal<this, RunSummary> {
    return this._ended;
  }

  /** A run has another state, progress or result. */
  get runChanged(): ISignal<this, RunSummary> {
    return this._run;
  }

  /** An artifact was made, or has other tags. */
  get artifactChanged(): ISignal<this, ArtifactSummary> {
    return this._artifact;
  }

  /** A function has a new version, or other tags. */
  get functionChanged(): ISignal<this, FunctionSummary> {
    return this._function;
  }

  /** A feature set or vector has another latest version, or other rows. */
  get featureChanged(): ISignal<this, FeatureSummary> {
    return this._feature;
  }

  /** A run is not there any more. */
  get runDeleted(): ISignal<this, string> {
    return this._deleted;
  }

  /** Something may not have been told; what is shown of the server is to be read anew. */
  get missed(): ISignal<this, void> {
    return this._missed;
  }

  get journal(): ISignal<this, { uid: string; entries: Entry[] }> {
    return this._journal;
  }

  /** How many runs of the project go on, whatever the list is narrowed to. Those of a sweep are one. */
  get running(): number {
    return this._going.size;
  }

  get isDisposed(): boolean {
    return this._disposed;
  }

  /** Asks the server for its projects, then reads the lists and follows them. May be called again after a failure. */
  async start(preferred = ''): Promise<void> {
    clearTimeout(this._startTimer);
    try {
      const status = await this.client.get<Status>('status');
      this.projects = (await this.client.get<Page<Project>>('projects')).items;
      const names = this.projects.map(each => each.name);
      const wanted = [this.project, preferred, status.current_project].find(name => names.includes(name));
      this.startError = null;
      this.online = true;
      this._retry = 0;
      await this.open(wanted ?? names[0] ?? status.current_project ?? '');
    } catch (error) {
      this.online = false;
      this.startError = asApiError(error);
      this._changed.emit();
      if (!this._disposed) {
        this._startTimer = setTimeout(() => void this.start(preferred), this._wait());
      }
    }
  }

  /** Shows another project. */
  async open(project: string): Promise<void> {
    if (project !== this.project) {
      this.project = project;
      this._going.clear();
      for (const each of this._lists) {
        each.clear();
      }
    }
    this._changed.emit();
    // without a project as well: the first one is told by the stream
    this._restartStream();
    if (project) {
      await this.refresh();
    }
  }

  async refresh(): Promise<void> {
    await Promise.all([...this._lists.map(each => each.refresh()), this._readGoing()]);
  }

  private get _lists(): Pick<Listing<unknown>, 'clear' | 'refresh'>[] {
    return [this.runs, this.functions, this.artifacts, this.models, this.features];
  }

  /** There is a new project; the first of all is shown. */
  private async _readProjects(): Promise<void> {
    try {
      this.projects = (await this.client.get<Page<Project>>('projects')).items;
    } catch (error) {
      console.warn('MLRun: the projects could not be read.', error);
    }
    if (!this.project && this.projects.length) {
      await this.open(this.projects[0].name);
    } else {
      this._changed.emit();
    }
  }

  private async _readGoing(): Promise<void> {
    const project = this.project;
    const turn = ++this._goingTurn;
    this._goingHeard = [];
    try {
      const path = `projects/${encodeURIComponent(project)}/runs`;
      const page = await this.client.get<Page<RunSummary>>(path, { state: GOING, limit: 1000 });
      if (project === this.project && turn === this._goingTurn) {
        this._going = new Set(page.items.filter(run => !TERMINAL.has(run.state)).map(run => run.uid));
        this._goingHeard.forEach(each => each());
        this._goingHeard = [];
        this._changed.emit();
      }
    } catch (error) {
      // the lists, read at the same time, show what is wrong with the server
      console.warn('MLRun: the runs that go on could not be counted.', error);
    }
  }

  /** Asks for the journal of a run on the stream, until what is returned is disposed. */
  watch(uid: string): IDisposable {
    this._watched.set(uid, (this._watched.get(uid) ?? 0) + 1);
    this._restartStream();
    let done = false;
    return {
      get isDisposed() {
        return done;
      },
      dispose: () => {
        if (done) {
          return;
        }
        done = true;
        const left = (this._watched.get(uid) ?? 1) - 1;
        if (left > 0) {
          this._watched.set(uid, left);
        } else {
          this._watched.delete(uid);
          this._restartStream();
        }
      }
    };
  }

  /** A run was deleted, by us or as the stream tells. */
  forget(uid: string): void {
    this.runs.remove(uid);
    this._going.delete(uid);
    this._goingHeard.push(() => this._going.delete(uid));
    this._deleted.emit(uid);
    this._changed.emit();
  }

  /** Lets go of the connection, of which a browser has few, until {@link resume}. */
  pause(): void {
    this._paused = true;
    clearTimeout(this._timer);
    this._stop.abort();
  }

  /** Goes on after what was told last. */
  resume(): void {
    if (this._paused) {
      this._paused = false;
      this._restartStream();
    }
  }

  dispose(): void {
    this._disposed = true;
    clearTimeout(this._timer);
    clearTimeout(this._startTimer);
    this._stop.abort();
    Signal.clearData(this);
  }

  private _restartStream(): void {
    if (this._disposed || this._paused) {
      return;
    }
    this._stop.abort();
    this._stop = new AbortController();
    void this._follow(this._stop.signal);
  }

  private async _follow(stop: AbortSignal): Promise<void> {
    const runs = [...this._watched.keys()].join(',');
    this._from = this._lastId;
    try {
      await this.client.events(
        { project: this.project || undefined, runs: runs || undefined },
        this._lastId,
        event => !stop.aborted && this._take(event),
        stop
      );
    } catch (error) {
      if (!stop.aborted) {
        this.online = false;
        this._changed.emit();
      }
    }
    if (!stop.aborted && !this._disposed) {
      this._streaming = false;
      clearTimeout(this._timer);
      this._timer = setTimeout(() => this._restartStream(), this._wait());
    }
  }

  /** Milliseconds until what failed is tried again: longer each time. */
  private _wait(): number {
    return this._waits[Math.min(this._retry++, this._waits.length - 1)];
  }

  private _take(event: Event): void {
    this._lastId = event.id || this._lastId;
    if (!this._streaming) {
      this._streaming = true;
      this._retry = 0;
      if (this.online === false) {
        this.online = true;
        void this.refresh();
        this._missed.emit();
      }
    }
    if (event.event === 'hello') {
      if (!this._from && this.project) {
        // what happened between the reading of the lists and now was told to nobody
        void this.refresh();
      }
    } else if (event.event === 'run') {
      this._takeRun(event.data);
    } else if (event.event === 'run-deleted') {
      this.forget(event.data.uid);
      return;
    } else if (event.event === 'function') {
      const known = this.functions.items.find(each => each.name === event.data.name);
      // the list shows what `latest` names; of another version only a new function is news
      if (!known || known.hash === event.data.hash || event.data.tags.includes('latest')) {
        this.functions.put(event.data);
      }
      this._function.emit(event.data);
    } else if (event.event === 'artifact') {
      for (const list of event.data.kind === 'model' ? [this.artifacts, this.models] : [this.artifacts]) {
        list.put(event.data);
        list.change(
          // of a tag that moved on more than once, only its last place is told
          each =>
            hasLost(each, event.data)
              ? { ...each, tags: each.tags.filter(tag => !event.data.tags.includes(tag)) }
              : each
        );
      }
      this._artifact.emit(event.data);
    } else if (event.event === 'feature') {
      this.features.put(event.data);
      this._feature.emit(event.data);
    } else if (event.event === 'journal') {
      this._journal.emit(event.data);
      return;
    } else if (event.event === 'project') {
      void this._readProjects();
      return;
    } else if (event.event === 'reset') {
      void this._readProjects();
      void this.refresh();
      this._missed.emit();
      return;
    }
    this._changed.emit();
  }

  private _takeRun(run: RunSummary): void {
    this._run.emit(run);
    if (run.parent || (run.project && run.project !== this.project)) {
      // a sweep's own view lists its runs; one of another project is told to its view alone
      return;
    }
    this.runs.put(run);
    const told = this._count(run, false);
    this._goingHeard.push(() => void this._count(run, told));
  }

  /** Counts a run among those that go on, or tells that it has ended, unless that was told; says whether it is. */
  private _count(run: RunSummary, told: boolean): boolean {
    if (!TERMINAL.has(run.state)) {
      this._going.add(run.uid);
      return false;
    }
    const ended = this._going.delete(run.uid);
    if (ended && !told) {
      this._ended.emit(run);
    }
    return ended || told;
  }
}
