/** What a run was given and what it gave: results, parameters, curves, artifacts, the runs of a sweep. */
import { useState } from 'react';
import { ArtifactSummary, RunDetail, TERMINAL } from '../api/types';
import { PreviewOf } from '../artifacts/preview';
import { bytes, duration, value } from '../format';
import { Model } from '../model';
import { useTrans } from '../parts';
import { Button, Facts, Link, Loaded, Part, copied, useLoad } from '../views/pieces';
import { Children } from './children';
import { MetricCharts } from './metrics';

export const REPLAY_OF = 'replay-of';

interface IOverview {
  run: RunDetail;
  model: Model;
  open(uid: string): void;
  openStored(uri: string): void;
  openFunction(uri: string): void;
}

export function Overview({ run, model, open, openStored, openFunction }: IOverview) {
  const trans = useTrans();
  const facts = (of: Record<string, unknown>) => Object.entries(of).map(([name, each]) => [name, value(each)] as const);
  const inputs = Object.entries(run.inputs).map(
    ([name, uri]) =>
      [name, uri.startsWith('store://') ? <Link onClick={() => openStored(uri)}>{uri}</Link> : uri] as const
  );
  const labels = Object.entries(run.labels).filter(([name]) => !['kind', 'owner', 'host', 'v3io_user'].includes(name));
  const over = TERMINAL.has(run.state);
  return (
    <>
      {run.labels[REPLAY_OF] && over && <Replayed run={run} model={model} open={open} />}
      <div className="mlrun-Columns">
        <Part title={trans.__('Results')}>
          {Object.keys(run.results).length > 0 ? (
            <Facts facts={facts(run.results)} />
          ) : (
            <p className="mlrun-Dim">{over ? trans.__('It gave none.') : trans.__('None yet.')}</p>
          )}
        </Part>
        <Part title={trans.__('Parameters')}>
          {Object.keys(run.parameters).length > 0 ? (
            <Facts facts={facts(run.parameters)} />
          ) : (
            <p className="mlrun-Dim">{trans.__('It takes none.')}</p>
          )}
        </Part>
        <Part title={trans.__('About')}>
          <Facts
            facts={[
              [
                trans.__('function'),
                <Link key="function" title={run.function} onClick={() => openFunction(run.function)}>
                  {short(run.function)}
                </Link>
              ],
              [trans.__('created'), run.created && new Date(run.created).toLocaleString()],
              [trans.__('took'), duration(run.duration)],
              [trans.__('executor'), run.executor],
              [trans.__('owner'), run.owner],
              [trans.__('labels'), labels.map(([name, each]) => `${name}=${each}`).join(', ')],
              ...inputs
            ]}
          />
        </Part>
      </div>
      {run.is_sweep && (
        <Part title={trans.__('Runs of the sweep')}>
          <Children run={run} model={model} open={open} />
        </Part>
      )}
      <MetricCharts run={run} model={model} />
      {run.error && (
        <Part title={trans.__('Error')}>
          <pre className="mlrun-Log" tabIndex={0}>
            {run.error}
          </pre>
        </Part>
      )}
      {run.artifacts.length > 0 && (
        <Part title={trans.__('Artifacts')}>
          <ul className="mlrun-Artifacts">
            {run.artifacts.map(each => (
              <ArtifactRow key={each.uri} artifact={each} model={model} open={openStored} />
            ))}
          </ul>
        </Part>
      )}
      {run.notes.length > 0 && (
        <Part title={trans.__('Notes')}>
          <ul>
            {run.notes.map((each, at) => (
              <li key={at}>{each}</li>
            ))}
          </ul>
        </Part>
      )}
    </>
  );
}

/** `project/name@3fa4…` with eight digits of the hash. */
export function short(uri: string): string {
  return uri.replace(/^[^/]*\//, '').replace(/@([0-9a-f]{8})[0-9a-f]*$/, '@$1');
}

function ArtifactRow({ artifact, model, open }: { artifact: ArtifactSummary; model: Model; open(uri: string): void }) {
  const trans = useTrans();
  const [seen, setSeen] = useState(false);
  return (
    <li>
      <div className="mlrun-Artifacts-head">
        <Button
          look="minimal"
          label={seen ? trans.__('Hide %1', artifact.key) : trans.__('Preview %1', artifact.key)}
          onClick={() => setSeen(!seen)}
        >
          {seen ? '▾' : '▸'}
        </Button>
        <Link onClick={() => open(artifact.uri)} title={artifact.uri}>
          {artifact.key}
        </Link>
        <span className="mlrun-Dim">{artifact.kind}</span>
        <span className="mlrun-Dim">{bytes(artifact.size)}</span>
        <Button look="minimal" onClick={() => copied(trans, artifact.uri)}>
          {trans.__('Copy URI')}
        </Button>
      </div>
      {seen && <PreviewOf uri={artifact.uri} client={model.client} />}
    </li>
  );
}

interface IVerdict {
  uid: string;
  equal: boolean;
  outputs: Record<string, { status: string; detail: string }>;
  warnings: string[];
}

function Replayed({ run, model, open }: { run: RunDetail; model: Model; open(uid: string): void }) {
  const trans = useTrans();
  const loaded = useLoad(() => model.client.get<IVerdict>(`runs/${run.uid}/replay`), [run.uid], run.state);
  return (
    <Loaded
      of={loaded}
      draw={found => (
        <div className="mlrun-Verdict" data-equal={found.equal} role="status">
          <strong>
            {found.equal
              ? trans.__('The replay gave the same outputs.')
              : trans.__('The replay gave other outputs than the run had.')}
          </strong>{' '}
          <Link onClick={() => open(found.uid)}>{trans.__('Open the run that was replayed')}</Link>
          <Facts
            facts={Object.entries(found.outputs).map(([name, each]) => [
              name,
              [each.status, each.detail].filter(Boolean).join(': ')
            ])}
          />
          {found.warnings.map(each => (
            <p key={each} className="mlrun-Dim">
              {each}
            </p>
          ))}
        </div>
      )}
    />
  );
}
