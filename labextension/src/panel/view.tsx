/** The side panel: the project, then sections one above the other. */
import { TranslationBundle } from '@jupyterlab/translation';
import { ReactWidget, UseSignal, caretDownIcon, caretRightIcon, refreshIcon } from '@jupyterlab/ui-components';
import { ReactNode, useState } from 'react';
import { ArtifactSummary, FunctionSummary, RunSummary, State } from '../api/types';
import { ago, bytes, duration, value } from '../format';
import { mlrunIcon } from '../icon';
import { Listing, Model } from '../model';
import { Boundary, ErrorBox, StateMark, Trans, VirtualList, useTrans } from '../parts';
import { ISections } from '../tokens';

export class Panel extends ReactWidget {
  constructor(
    private readonly _model: Model,
    private readonly _sections: ISections,
    private readonly _trans: TranslationBundle
  ) {
    super();
    this.id = 'mlrun-panel';
    this.title.icon = mlrunIcon;
    this.title.caption = _trans.__('MLRun: functions, runs and artifacts');
    this.addClass('mlrun-Panel');
    this.node.setAttribute('role', 'region');
    this.node.setAttribute('aria-label', 'MLRun');
  }

  render() {
    return (
      <Trans.Provider value={this._trans}>
        <UseSignal signal={this._model.changed}>
          {() => (
            <UseSignal signal={this._sections.changed}>
              {() => <Body model={this._model} sections={this._sections} />}
            </UseSignal>
          )}
        </UseSignal>
      </Trans.Provider>
    );
  }
}

function Body({ model, sections }: { model: Model; sections: ISections }) {
  const trans = useTrans();
  const [open, setOpen] = useState<Record<string, boolean>>({ runs: true });
  if (model.startError && !model.project) {
    return <ErrorBox error={model.startError} retry={() => void model.start()} />;
  }
  return (
    <>
      <div className="mlrun-Head">
        <select
          className="jp-mod-styled"
          aria-label={trans.__('Project')}
          value={model.project}
          onChange={event => void model.open(event.target.value)}
        >
          {model.projects.map(each => (
            <option key={each.name}>{each.name}</option>
          ))}
        </select>
        <button
          className="jp-Button jp-mod-minimal"
          title={trans.__('Read the lists again')}
          aria-label={trans.__('Read the lists again')}
          onClick={() => void model.refresh()}
        >
          <refreshIcon.react tag="span" />
        </button>
      </div>
      {model.online === false && (
        <div className="mlrun-Offline" role="status">
          {trans.__('No connection. What is shown may be old; runs go on.')}
        </div>
      )}
      {model.online && !model.project && (
        <Empty>{trans.__('No project yet. Execute a %%mlrun cell and it appears here.')}</Empty>
      )}
      {sections.list().map(section => (
        <section key={section.id} className="mlrun-Section" data-open={!!open[section.id]} data-section={section.id}>
          <button
            className="mlrun-Section-head"
            aria-expanded={!!open[section.id]}
            onClick={() => setOpen({ ...open, [section.id]: !open[section.id] })}
          >
            {open[section.id] ? <caretDownIcon.react tag="span" /> : <caretRightIcon.react tag="span" />}
            {section.title}
          </button>
          {open[section.id] && <Boundary name={section.title}>{section.render(model)}</Boundary>}
        </section>
      ))}
    </>
  );
}

const Empty = ({ children }: { children: ReactNode }) => <div className="mlrun-Empty">{children}</div>;

interface IFiltered<T> {
  label: string;
  listing: Listing<T>;
  height: number;
  keyOf(item: T): string;
  textOf(item: T): string;
  draw(item: T): ReactNode;
  open(item: T): void;
  empty: string;
  filter?: (item: T) => boolean;
  bar?: ReactNode;
}

function Filtered<T>({ label, listing, height, keyOf, textOf, draw, open, empty, filter, bar }: IFiltered<T>) {
  const trans = useTrans();
  const [words, setWords] = useState('');
  if (listing.phase === 'loading') {
    return (
      <div className="mlrun-Loading" role="status" aria-label={trans.__('Loading')}>
        {[0, 1, 2].map(at => (
          <div key={at} className="mlrun-Loading-row" style={{ height: height - 12 }} />
        ))}
      </div>
    );
  }
  if (listing.error && !listing.items.length) {
    return <ErrorBox error={listing.error} retry={() => void listing.refresh()} />;
  }
  if (!listing.items.length) {
    return <Empty>{empty}</Empty>;
  }
  const sought = words.toLowerCase().split(/\s+/).filter(Boolean);
  const items = listing.items.filter(
    item => (!filter || filter(item)) && sought.every(word => textOf(item).toLowerCase().includes(word))
  );
  return (
    <>
      <div className="mlrun-Filter">
        <input
          type="search"
          className="jp-mod-styled"
          placeholder={trans.__('Filter')}
          aria-label={trans.__('Filter %1', label)}
          value={words}
          onChange={event => setWords(event.target.value)}
        />
        {bar}
      </div>
      {items.length ? null : (
        <Empty>
          {listing.more ? trans.__('None among the newest %1.', listing.items.length) : trans.__('None is like that.')}
          {listing.more && (
            <button className="jp-Button jp-mod-styled jp-mod-minimal" onClick={() => void listing.readMore()}>
              {trans.__('Look further back')}
            </button>
          )}
        </Empty>
      )}
      {items.length > 0 && (
        <VirtualList
          label={label}
          items={items}
          height={height}
          keyOf={keyOf}
          draw={draw}
          open={open}
          end={() => void listing.readMore()}
        />
      )}
    </>
  );
}

export function RunsSection({ model, open }: { model: Model; open(run: RunSummary): void }) {
  const trans = useTrans();
  const [state, setState] = useState<State | ''>('');
  const states: [State, string][] = [
    ['running', trans.__('running')],
    ['pending', trans.__('waiting')],
    ['completed', trans.__('completed')],
    ['error', trans.__('failed')],
    ['aborted', trans.__('aborted')],
    ['lost', trans.__('lost')]
  ];
  const bar = (
    <select
      className="jp-mod-styled"
      aria-label={trans.__('State')}
      value={state}
      onChange={event => setState(event.target.value as State | '')}
    >
      <option value="">{trans.__('any state')}</option>
      {states.map(([each, name]) => (
        <option key={each} value={each}>
          {name}
        </option>
      ))}
    </select>
  );
  return (
    <Filtered
      label={trans.__('Runs')}
      listing={model.runs}
      height={44}
      bar={bar}
      filter={state ? run => run.state === state : undefined}
      keyOf={run => `${run.uid}#${run.iteration}`}
      open={open}
      textOf={run =>
        `${run.name} ${run.uid} ${run.owner} ${Object.entries(run.labels)
          .map(([key, text]) => `${key}=${text}`)
          .join(' ')}`
      }
      empty={trans.__('No runs yet. Execute a %%mlrun cell, or start a function with %mlrun run.')}
      draw={run => <RunRow run={run} />}
    />
  );
}

function RunRow({ run }: { run: RunSummary }) {
  const going = run.state === 'running' && run.progress.of;
  const results = Object.entries(run.results)
    .filter(([, each]) => typeof each === 'number')
    .slice(0, 2);
  const second =
    run.state === 'running' || run.state === 'pending'
      ? run.progress.text || (going ? `${run.progress.cell} / ${run.progress.of}` : '')
      : run.state === 'completed'
        ? results.map(([name, each]) => `${name} ${value(each)}`).join(' · ')
        : run.cause;
  return (
    <>
      <StateMark state={run.state} bare />
      <span className="mlrun-Row-main">
        <span className="mlrun-Row-name" title={run.name}>
          {run.name}
        </span>
        <span className="mlrun-Row-second" title={second}>
          {second || run.uid.slice(0, 8)}
        </span>
      </span>
      <span className="mlrun-Row-side">
        <span>{duration(run.duration)}</span>
        <span className="mlrun-Row-second">{ago(run.created)}</span>
      </span>
      {!!going && <span className="mlrun-Row-bar" style={{ width: `${(100 * (run.progress.cell ?? 0)) / going}%` }} />}
    </>
  );
}

export function FunctionsSection({ model, open }: { model: Model; open(each: FunctionSummary): void }) {
  const trans = useTrans();
  return (
    <Filtered<FunctionSummary>
      label={trans.__('Functions')}
      listing={model.functions}
      height={44}
      keyOf={each => each.name}
      open={open}
      textOf={each => `${each.name} ${each.tags.join(' ')} ${each.description}`}
      empty={trans.__('No functions yet. Put %%mlrun and a name on top of a cell and execute it.')}
      draw={each => (
        <>
          <span className="mlrun-Row-main">
            <span className="mlrun-Row-name" title={each.name}>
              {each.name}
            </span>
            <span className="mlrun-Row-second" title={each.description}>
              {each.description || each.notebook || each.kind}
            </span>
          </span>
          <span className="mlrun-Row-side">
            <code>{each.hash.slice(0, 8)}</code>
            <span className="mlrun-Row-second">{each.tags.join(', ')}</span>
          </span>
        </>
      )}
    />
  );
}

export function ArtifactsSection({
  model,
  listing,
  label,
  empty,
  open
}: {
  model: Model;
  listing: 'artifacts' | 'models';
  label: string;
  empty: string;
  open(uri: string): void;
}) {
  return (
    <Filtered<ArtifactSummary>
      label={label}
      listing={model[listing]}
      height={44}
      keyOf={each => each.uri}
      open={each => open(each.uri)}
      textOf={each => `${each.key} ${each.kind} ${each.tags.join(' ')}`}
      empty={empty}
      draw={each => (
        <>
          <span className="mlrun-Row-main">
            <span className="mlrun-Row-name" title={each.uri}>
              {each.key}
            </span>
            <span className="mlrun-Row-second">{[each.kind, ...each.tags].join(' · ')}</span>
          </span>
          <span className="mlrun-Row-side">
            <span>{bytes(each.size)}</span>
            <span className="mlrun-Row-second">{ago(each.created)}</span>
          </span>
        </>
      )}
    />
  );
}
