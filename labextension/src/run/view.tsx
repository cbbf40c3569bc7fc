/** The main-area view of one run: a head that stays in sight, and pages below it. */
import { TranslationBundle } from '@jupyterlab/translation';
import { ReactWidget } from '@jupyterlab/ui-components';
import { ISignal, Signal } from '@lumino/signaling';
import { KeyboardEvent, ReactNode, useEffect, useState } from 'react';
import { ApiError } from '../api/client';
import { FunctionDetail, Graph, RunDetail, TERMINAL } from '../api/types';
import { Commands } from '../commands';
import { RunForm, startAgain } from '../form/form';
import { bytes, duration } from '../format';
import { mlrunIcon } from '../icon';
import { LineageGraph } from '../lineage/graph';
import { asApiError } from '../model';
import { Boundary, ErrorBox, StateMark, Trans, useTrans } from '../parts';
import { About } from './about';
import { Buttons } from './buttons';
import { Host, IHost, useHost } from './host';
import { Iterations } from './iterations';
import { useClock, useRun } from './live';
import { LiveLog } from './logview';
import { NotebookView } from './notebookview';
import { Overview } from './overview';

export class RunView extends ReactWidget {
  private _pageChanged = new Signal<this, void>(this);

  constructor(
    readonly key: string,
    name: string,
    private readonly _host: IHost,
    private readonly _trans: TranslationBundle,
    private _page = ''
  ) {
    super();
    this.id = `mlrun-run-${key}`;
    this.title.label = name;
    this.title.caption = key;
    this.title.icon = mlrunIcon;
    this.title.closable = true;
    this.addClass('mlrun-View');
    this.addClass('mlrun-RunView');
    this.node.tabIndex = -1;
  }

  /** Another page of it is shown: the layout is to be saved. */
  get pageChanged(): ISignal<this, void> {
    return this._pageChanged;
  }

  get args() {
    return { uid: this.key, page: this._page };
  }

  render() {
    const turn = (page: string) => {
      this._page = page;
      this._pageChanged.emit();
    };
    return (
      <Trans.Provider value={this._trans}>
        <Host.Provider value={this._host}>
          <Boundary name={this.title.label}>
            <Body
              uid={this.key}
              first={this._page}
              named={name => (this.title.label = name)}
              turn={turn}
              close={() => this.parent?.dispose()}
            />
          </Boundary>
        </Host.Provider>
      </Trans.Provider>
    );
  }
}

interface IBody {
  uid: string;
  first: string;
  named(name: string): void;
  turn(page: string): void;
  close(): void;
}

interface IPage {
  id: string;
  title: string;
  draw(): ReactNode;
}

function Body({ uid, first, named, turn, close }: IBody) {
  const trans = useTrans();
  const { model } = useHost();
  const { run, error, again } = useRun(model, uid);
  const [page, setPage] = useState(first || 'overview');
  const [changing, setChanging] = useState(false);
  const name = run?.name;
  useEffect(() => {
    if (name) {
      named(run!.iteration ? `${name} #${run!.iteration}` : name);
    }
  }, [name]);
  if (!run) {
    return error ? (
      <ErrorBox error={error} retry={again} />
    ) : (
      <div className="mlrun-Empty" role="status">
        {trans.__('Loading…')}
      </div>
    );
  }
  const going = !TERMINAL.has(run.state);
  const pages: IPage[] = [
    { id: 'overview', title: trans.__('Overview'), draw: () => <Overview run={run} /> },
    ...(run.is_sweep
      ? [{ id: 'iterations', title: trans.__('Iterations'), draw: () => <Iterations run={run} /> }]
      : []),
    { id: 'log', title: trans.__('Log'), draw: () => <LiveLog uid={uid} going={going} /> },
    { id: 'notebook', title: trans.__('Notebook'), draw: () => <NotebookView run={run} /> },
    {
      id: 'artifacts',
      title: run.artifacts.length ? trans.__('Artifacts (%1)', run.artifacts.length) : trans.__('Artifacts'),
      draw: () => <Artifacts run={run} />
    },
    { id: 'lineage', title: trans.__('Lineage'), draw: () => <Lineage run={run} /> },
    { id: 'about', title: trans.__('Environment'), draw: () => <About run={run} /> }
  ];
  const shown = pages.find(each => each.id === page) ?? pages[0];
  const show = (id: string) => {
    setChanging(false);
    setPage(id);
    turn(id);
  };
  return (
    <div className="mlrun-Run">
      <header>
        <h1 title={run.name}>{run.iteration ? `${run.name} #${run.iteration}` : run.name}</h1>
        <StateMark state={run.state} />
        <Elapsed run={run} />
        <Buttons run={run} change={() => setChanging(true)} deleted={close} />
      </header>
      {error && <ErrorBox error={error} retry={again} />}
      {run.cause && <p className="mlrun-Cause">{run.cause}</p>}
      <Tabs uid={uid} pages={pages} shown={changing ? '' : shown.id} show={show} />
      <div
        className="mlrun-Run-page"
        role="tabpanel"
        id={`mlrun-${uid}-page`}
        aria-labelledby={changing ? undefined : `mlrun-${uid}-${shown.id}`}
        data-page={changing ? 'change' : shown.id}
      >
        <Boundary
          key={changing ? 'change' : shown.id}
          name={changing ? trans.__('Run again with changes') : shown.title}
        >
          {changing ? <Change run={run} cancel={() => setChanging(false)} /> : shown.draw()}
        </Boundary>
      </div>
    </div>
  );
}

function Elapsed({ run }: { run: RunDetail }) {
  const going = run.state === 'running';
  const now = useClock(going);
  const seconds = going && run.started ? (now - Date.parse(run.started)) / 1000 : run.duration;
  const { of, cell, text } = run.progress;
  return (
    <span className="mlrun-Dim mlrun-Elapsed">
      {[duration(seconds), going && (text || (of > 1 ? `${cell}/${of}` : ''))].filter(Boolean).join(' · ')}
    </span>
  );
}

interface ITabs {
  uid: string;
  pages: readonly IPage[];
  shown: string;
  show(id: string): void;
}

function Tabs({ uid, pages, shown, show }: ITabs) {
  const trans = useTrans();
  const move = (event: KeyboardEvent, at: number) => {
    const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: pages.length - 1 }[event.key];
    if (to === undefined) {
      return;
    }
    const next = pages[(to + pages.length) % pages.length];
    show(next.id);
    document.getElementById(`mlrun-${uid}-${next.id}`)?.focus();
    event.preventDefault();
    event.stopPropagation();
  };
  return (
    <div className="mlrun-Tabs" role="tablist" aria-label={trans.__('Pages of the run')}>
      {pages.map((each, at) => (
        <button
          key={each.id}
          id={`mlrun-${uid}-${each.id}`}
          type="button"
          role="tab"
          aria-selected={each.id === shown}
          aria-controls={`mlrun-${uid}-page`}
          tabIndex={each.id === shown || (!shown && at === 0) ? 0 : -1}
          onClick={() => show(each.id)}
          onKeyDown={event => move(event, at)}
        >
          {each.title}
        </button>
      ))}
    </div>
  );
}

/** Reads one thing of the server, and draws it. */
function Loaded<T>({ path, draw }: { path: string; draw(found: T): ReactNode }) {
  const trans = useTrans();
  const { model } = useHost();
  const [found, setFound] = useState<T | null>(null);
  const [error, setError] = useState<ApiError | null>(null);
  const [turn, setTurn] = useState(0);
  useEffect(() => {
    let gone = false;
    model.client.get<T>(path).then(
      it => !gone && (setFound(it), setError(null)),
      failure => !gone && setError(asApiError(failure))
    );
    return () => {
      gone = true;
    };
  }, [path, turn]);
  if (error) {
    return <ErrorBox error={error} retry={() => setTurn(turn + 1)} />;
  }
  return found ? (
    <>{draw(found)}</>
  ) : (
    <div className="mlrun-Empty" role="status">
      {trans.__('Loading…')}
    </div>
  );
}

function Change({ run, cancel }: { run: RunDetail; cancel(): void }) {
  const trans = useTrans();
  const host = useHost();
  const { client } = host.model;
  // `<project>/<name>@<hash>`
  const [project, name] = run.function.split('/');
  return (
    <>
      <h2>{trans.__('Run again with changes')}</h2>
      <Loaded<FunctionDetail>
        path={`projects/${encodeURIComponent(project)}/functions/${encodeURIComponent(name)}`}
        draw={detail => (
          <RunForm
            client={client}
            detail={detail}
            run={run}
            label={trans.__('Run')}
            cancel={cancel}
            send={async request => {
              const made = await startAgain(client, run, request);
              cancel();
              host.open(Commands.openRun, { uid: made.uid });
            }}
          />
        )}
      />
    </>
  );
}

function Lineage({ run }: { run: RunDetail }) {
  const trans = useTrans();
  const host = useHost();
  return (
    <Loaded<Graph>
      // it grows until the run is over
      key={run.state}
      path={`runs/${run.uid}/lineage`}
      draw={graph => (
        <>
          {!graph.whole && <p className="mlrun-Dim">{trans.__('Only what is nearest is shown.')}</p>}
          <LineageGraph
            graph={graph}
            here={run.uid}
            open={node => {
              if (node.kind === 'run') {
                host.open(Commands.openRun, { uid: node.id });
              } else {
                host.open(node.kind === 'function' ? Commands.openFunction : Commands.openArtifact, { uri: node.uri });
              }
            }}
          />
        </>
      )}
    />
  );
}

function Artifacts({ run }: { run: RunDetail }) {
  const trans = useTrans();
  const host = useHost();
  if (!run.artifacts.length) {
    return (
      <div className="mlrun-Empty">
        {TERMINAL.has(run.state) ? trans.__('It made no artifacts.') : trans.__('No artifacts yet.')}
      </div>
    );
  }
  return (
    <div className="mlrun-Table">
      <table aria-label={trans.__('Artifacts')}>
        <thead>
          <tr>
            <th scope="col">{trans.__('Name')}</th>
            <th scope="col">{trans.__('Kind')}</th>
            <th scope="col">{trans.__('Size')}</th>
          </tr>
        </thead>
        <tbody>
          {run.artifacts.map(each => (
            <tr key={each.uri} onClick={() => host.open(Commands.openArtifact, { uri: each.uri })}>
              <td title={each.uri}>
                <button
                  type="button"
                  className="mlrun-Link"
                  onClick={event => {
                    event.stopPropagation();
                    host.open(Commands.openArtifact, { uri: each.uri });
                  }}
                >
                  {each.key}
                </button>
              </td>
              <td>{[each.kind, each.format].filter(Boolean).join(' · ')}</td>
              <td>{bytes(each.size)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
