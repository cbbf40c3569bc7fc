/** The sections of the panel: functions, runs, artifacts and models. */
import { useEffect, useState } from 'react';
import { ArtifactSummary, FunctionSummary, RunSummary, TERMINAL } from '../api/types';
import { ago, bytes, progressOf, value } from '../format';
import { Model } from '../model';
import { StateMark, Took, useTrans } from '../parts';
import { Filtered } from './filtered';

const HEIGHT = 44;
/** As many as the view that compares takes. */
const MOST = 50;

interface IRunsSection {
  model: Model;
  open(run: RunSummary): void;
  compare(uids: string[]): void;
}

export function RunsSection({ model, open, compare }: IRunsSection) {
  const trans = useTrans();
  const [chosen, setChosen] = useState<ReadonlySet<string>>(new Set());
  useEffect(() => setChosen(new Set()), [model.project]);
  const foot = chosen.size > 0 && (
    <div className="mlrun-Foot" role="toolbar" aria-label={trans.__('Chosen runs')}>
      <span>{trans.__('%1 chosen', chosen.size)}</span>
      <button
        type="button"
        className="jp-Button jp-mod-styled jp-mod-accept"
        disabled={chosen.size < 2 || chosen.size > MOST}
        title={chosen.size < 2 ? trans.__('Choose one more') : chosen.size > MOST ? trans.__('At most %1', MOST) : ''}
        onClick={() => compare([...chosen])}
      >
        {trans.__('Compare')}
      </button>
      <button type="button" className="jp-Button jp-mod-styled jp-mod-minimal" onClick={() => setChosen(new Set())}>
        {trans.__('None')}
      </button>
    </div>
  );
  return (
    <Filtered
      label={trans.__('Runs')}
      listing={model.runs}
      height={HEIGHT}
      takes={{ states: true, labels: true, time: true }}
      keyOf={run => run.uid}
      nameOf={run => run.name}
      open={open}
      empty={trans.__('No runs yet. Execute a cell with %1, or start a function from its view.', '%%mlrun')}
      draw={run => <RunRow run={run} />}
      chosen={chosen}
      choose={setChosen}
      foot={foot}
    />
  );
}

function RunRow({ run }: { run: RunSummary }) {
  const trans = useTrans();
  const { done, of, text: progress } = progressOf(run);
  const going = run.state === 'running' && of > 0;
  const results = Object.entries(run.results)
    .filter(([, each]) => typeof each === 'number')
    .slice(0, 2)
    .map(([name, each]) => `${name} ${value(each)}`);
  const second = !TERMINAL.has(run.state)
    ? progress
    : run.state === 'completed'
      ? [run.is_sweep ? trans.__('sweep') : '', run.cached_from ? trans.__('from the cache') : '', ...results]
          .filter(Boolean)
          .join(' · ')
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
        <span>
          <Took run={run} />
        </span>
        <span className="mlrun-Row-second">{ago(run.created)}</span>
      </span>
      {going && <span className="mlrun-Row-bar" style={{ width: `${(100 * done) / of}%` }} />}
    </>
  );
}

export function FunctionsSection({ model, open }: { model: Model; open(each: FunctionSummary): void }) {
  const trans = useTrans();
  return (
    <Filtered<FunctionSummary>
      label={trans.__('Functions')}
      listing={model.functions}
      height={HEIGHT}
      keyOf={each => each.name}
      nameOf={each => each.name}
      open={open}
      empty={trans.__('No functions yet. Put %1 and a name on top of a cell and execute it.', '%%mlrun')}
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

interface IArtifactsSection {
  model: Model;
  listing: 'artifacts' | 'models';
  label: string;
  empty: string;
  open(uri: string): void;
}

export function ArtifactsSection({ model, listing, label, empty, open }: IArtifactsSection) {
  return (
    <Filtered<ArtifactSummary>
      label={label}
      listing={model[listing]}
      height={HEIGHT}
      takes={{ labels: true, time: true }}
      keyOf={each => each.uri}
      nameOf={each => each.db_key}
      open={each => open(each.uri)}
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
