/** The first page of a run: how it went, what it took, what came out, its metrics. */
import { useMemo } from 'react';
import { RunDetail, TERMINAL } from '../api/types';
import { LineChart } from '../charts/chart';
import { curvesOf } from '../charts/points';
import { duration } from '../format';
import { ErrorBox, useTrans } from '../parts';
import { Facts, Part } from './facts';
import { useHost } from './host';
import { useClock, useMetrics } from './live';
import { ReplayResult } from './replay';

export function Overview({ run }: { run: RunDetail }) {
  const trans = useTrans();
  const { model } = useHost();
  const { points, error } = useMetrics(model, run);
  const curves = useMemo(() => [...curvesOf(points ?? [])].filter(([, each]) => each.length > 1), [points]);
  return (
    <>
      {run.labels['replay-of'] && <ReplayResult run={run} />}
      <Timeline run={run} />
      {run.error && (
        <Part title={trans.__('Error')}>
          <pre className="mlrun-Lines">{run.error}</pre>
        </Part>
      )}
      <div className="mlrun-Columns">
        <Facts title={trans.__('Results')} facts={run.results} empty={trans.__('none')} />
        <Facts title={trans.__('Parameters')} facts={run.parameters} empty={trans.__('none')} />
        <Facts title={trans.__('Inputs')} facts={run.inputs} />
        <Facts title={trans.__('Varied')} facts={run.hyperparams} />
      </div>
      {run.notes.length > 0 && (
        <Part title={trans.__('Notes')}>
          <ul>
            {run.notes.map((each, at) => (
              <li key={at}>{each}</li>
            ))}
          </ul>
        </Part>
      )}
      {error && <ErrorBox error={error} />}
      {curves.length > 0 && (
        <Part title={trans.__('Metrics')}>
          <div className="mlrun-Charts">
            {curves.map(([key, each]) => (
              <LineChart key={key} title={key} series={[{ name: key, points: each }]} />
            ))}
          </div>
        </Part>
      )}
    </>
  );
}

/** How long it waited and ran. */
function Timeline({ run }: { run: RunDetail }) {
  const trans = useTrans();
  const going = !TERMINAL.has(run.state);
  const now = useClock(going);
  const created = Date.parse(run.created);
  const started = run.started ? Date.parse(run.started) : null;
  const end = run.ended ? Date.parse(run.ended) : now;
  if (Number.isNaN(created)) {
    return null;
  }
  const waited = Math.max(0, (started ?? end) - created) / 1000;
  const ran = started === null ? 0 : Math.max(0, end - started) / 1000;
  const all = waited + ran || 1;
  return (
    <div className="mlrun-Timeline">
      <div className="mlrun-Timeline-bar" aria-hidden="true">
        <span data-part="waited" style={{ width: `${(100 * waited) / all}%` }} />
        <span data-part="ran" style={{ width: `${(100 * ran) / all}%` }} />
      </div>
      <div className="mlrun-Dim">
        {trans.__('Asked for %1', new Date(created).toLocaleString())}
        {' · '}
        {trans.__('waited %1', duration(waited))}
        {started !== null && ` · ${trans.__('ran %1', duration(ran))}`}
      </div>
    </div>
  );
}
