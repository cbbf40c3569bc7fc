/** The main-area view of one run. */
import { IRenderMimeRegistry } from '@jupyterlab/rendermime';
import { TranslationBundle } from '@jupyterlab/translation';
import { ISignal, Signal } from '@lumino/signaling';
import { useEffect, useState } from 'react';
import { ApiError } from '../api/client';
import { FunctionDetail, RunDetail, TERMINAL } from '../api/types';
import { RunForm, startAgain } from '../form/form';
import { progressOf } from '../format';
import { mlrunIcon } from '../icon';
import { Lineage, openNode } from '../lineage/view';
import { Model } from '../model';
import { Boundary, ErrorBox, StateMark, Took, useTrans } from '../parts';
import { Loaded, Part, Tabs, View, useLoad } from '../views/pieces';
import { Buttons, IActions } from './actions';
import { Environment } from './environment';
import { LiveLog } from './livelog';
import { ExecutedNotebook } from './notebook';
import { Overview } from './overview';
import { useRun } from './use';

export type Tab = 'overview' | 'log' | 'notebook' | 'lineage' | 'environment';

export interface IRunServices extends Omit<IActions, 'gone'> {
  rendermime: IRenderMimeRegistry;
  openStored(uri: string): void;
  openFunction(uri: string): void;
}

export class RunView extends View {
  constructor(
    uid: string,
    name: string,
    private readonly _model: Model,
    trans: TranslationBundle,
    private readonly _services: IRunServices,
    private _tab: Tab = 'overview'
  ) {
    super(uid, { uid }, 'mlrun-run', mlrunIcon, trans);
    this.title.label = name;
  }

  /** Another tab is shown: what restores the layout must know. */
  get tabChanged(): ISignal<this, Tab> {
    return this._tabChanged;
  }

  protected body() {
    return (
      <Body
        uid={this.key}
        model={this._model}
        services={this._services}
        tab={this._tab}
        tabChanged={tab => {
          this._tab = tab;
          this.args.tab = tab;
          this._tabChanged.emit(tab);
        }}
        named={run => {
          this.title.label = run.name;
          this.title.caption = `${run.name} · ${run.uid}`;
        }}
        gone={() => (this.parent ?? this).dispose()}
      />
    );
  }

  private _tabChanged = new Signal<this, Tab>(this);
}

interface IBody {
  uid: string;
  model: Model;
  services: IRunServices;
  tab: Tab;
  tabChanged(tab: Tab): void;
  named(run: RunDetail): void;
  gone(): void;
}

function Body({ uid, model, services, tab: first, tabChanged, named, gone }: IBody) {
  const trans = useTrans();
  const { run, error, again } = useRun(model, uid);
  const [tab, setTab] = useState<Tab>(first);
  const [changing, setChanging] = useState(false);
  useEffect(() => {
    if (run) {
      named(run);
    }
  }, [run?.name]);
  useEffect(() => {
    const hold = model.watch(uid);
    return () => hold.dispose();
  }, [model, uid]);
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
  const opens = { ...services, openRun: services.open };
  const tabs: (readonly [Tab, string])[] = [
    ['overview', trans.__('Overview')],
    ['log', trans.__('Log')],
    ['notebook', trans.__('Notebook')],
    ['lineage', trans.__('Lineage')],
    ['environment', trans.__('Environment')]
  ];
  return (
    <div className="mlrun-Run" data-state={run.state} data-tab={tab}>
      <header className="mlrun-Run-head">
        <div className="mlrun-Run-title">
          <h1>{run.name}</h1>
          <StateMark state={run.state} />
          <span className="mlrun-Dim">
            <Took run={run} />
          </span>
          {going && <Progress run={run} />}
        </div>
        <Buttons run={run} model={model} {...services} changing={changing} change={setChanging} gone={gone} />
        <Tabs
          label={trans.__('Parts of the run')}
          tabs={tabs}
          at={tab}
          set={to => {
            setTab(to);
            tabChanged(to);
          }}
        />
      </header>
      {error && <ErrorBox error={error} retry={again} />}
      {run.cause && <p className="mlrun-Cause">{run.cause}</p>}
      {changing && (
        <Part title={trans.__('Run again with changes')}>
          <Changes run={run} model={model} open={services.open} close={() => setChanging(false)} />
        </Part>
      )}
      <div role="tabpanel" aria-label={tabs.find(([id]) => id === tab)![1]} className="mlrun-Run-tab">
        <Boundary name={tab} key={tab}>
          {tab === 'overview' && <Overview run={run} model={model} {...services} />}
          {tab === 'log' && <LiveLog uid={uid} model={model} going={going} registry={services.rendermime} />}
          {tab === 'notebook' && <ExecutedNotebook run={run} model={model} registry={services.rendermime} />}
          {tab === 'lineage' && (
            <Lineage client={model.client} uid={uid} turn={run.state} open={node => openNode(opens, node)} />
          )}
          {tab === 'environment' && <Environment run={run} model={model} open={services.open} />}
        </Boundary>
      </div>
    </div>
  );
}

/** How far it is; a bar without a value while that is not known. */
function Progress({ run }: { run: RunDetail }) {
  const trans = useTrans();
  const { done, of, text } = progressOf(run);
  const known = run.state === 'running' && of > 0;
  const said = run.state === 'running' ? (run.is_sweep || !of ? text : trans.__('cell %1', text)) : '';
  return (
    <>
      <progress {...(known ? { max: of, value: done } : {})} aria-label={trans.__('Progress')} title={said} />
      {said && <span className="mlrun-Dim">{said}</span>}
    </>
  );
}

function Changes(props: { run: RunDetail; model: Model; open(uid: string): void; close(): void }) {
  const { run, model, open, close } = props;
  const trans = useTrans();
  const version = run.function.slice(run.function.indexOf('/') + 1);
  const path = `projects/${encodeURIComponent(run.project)}/functions/${encodeURIComponent(version)}`;
  const loaded = useLoad(() => model.client.get<FunctionDetail>(path), [path]);
  return (
    <Loaded
      of={loaded}
      draw={detail => (
        <RunForm
          client={model.client}
          detail={detail}
          run={run}
          label={trans.__('Run')}
          cancel={close}
          send={async request => {
            const made = await startAgain(model.client, run, request);
            if (!made?.uid) {
              throw new ApiError(-1, trans.__('The run was not started.'), '', trans.__('Try again.'));
            }
            close();
            open(made.uid);
          }}
        />
      )}
    />
  );
}
