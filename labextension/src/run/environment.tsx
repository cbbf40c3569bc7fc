/** Where and with what a run was executed, and why it was, or was not, taken from an earlier one. */
import { ReactNode } from 'react';
import { RunDetail, TERMINAL } from '../api/types';
import { bytes } from '../format';
import { Model } from '../model';
import { useTrans } from '../parts';
import { Facts, Link, Loaded, Part, useLoad } from '../views/pieces';

interface IWhy {
  headline: string;
  parts: { title: string; lines: string[] }[];
}

const pairs = (of: Record<string, unknown>): [string, string][] =>
  Object.entries(of).map(([name, each]) => [name, String(each)]);

export function Environment({ run, model, open }: { run: RunDetail; model: Model; open(uid: string): void }) {
  const trans = useTrans();
  const packages = pairs(run.record.packages).sort(([a], [b]) => (a < b ? -1 : 1));
  const time = (iso: string) => (iso ? new Date(iso).toLocaleString() : '');
  const link = (uid: string): ReactNode => uid && <Link onClick={() => open(uid)}>{uid}</Link>;
  return (
    <>
      <div className="mlrun-Columns">
        <Part title={trans.__('Times')}>
          <Facts
            facts={[
              [trans.__('created'), time(run.created)],
              [trans.__('started'), time(run.started)],
              [trans.__('ended'), time(run.ended)],
              [trans.__('attempt'), run.attempt > 1 ? String(run.attempt) : ''],
              [trans.__('timeout'), run.timeout ? `${run.timeout} s` : '']
            ]}
          />
        </Part>
        <Part title={trans.__('Where')}>
          <Facts
            facts={[
              [trans.__('executor'), run.executor],
              [trans.__('owner'), run.owner],
              [trans.__('folder'), run.workdir],
              [trans.__('commit'), run.commit],
              [trans.__('peak memory'), run.peak_memory ? bytes(run.peak_memory) : ''],
              [trans.__('size on disk'), run.size ? bytes(run.size) : ''],
              ...pairs(run.place)
            ]}
          />
        </Part>
        <Part title={trans.__('From')}>
          <Facts
            facts={[
              [trans.__('function'), run.function],
              [trans.__('part of'), link(run.parent)],
              [trans.__('outputs of'), link(run.cached_from)],
              [trans.__('resumed from'), link(run.resumed_from)],
              ...pairs(run.tracking)
            ]}
          />
        </Part>
        {Object.keys(run.environment).length > 0 && (
          <Part title={trans.__('Environment')}>
            <Facts facts={pairs(run.environment)} />
          </Part>
        )}
        {Object.keys(run.record.inputs).length > 0 && (
          <Part title={trans.__('Inputs, by their content')}>
            <Facts facts={pairs(run.record.inputs)} />
          </Part>
        )}
        {Object.keys(run.record.seeds).length > 0 && (
          <Part title={trans.__('Seeds')}>
            <Facts facts={pairs(run.record.seeds)} />
          </Part>
        )}
      </div>
      {run.record.unseen.length > 0 && (
        <Part title={trans.__('Read out of our sight')}>
          <ul>
            {run.record.unseen.map(each => (
              <li key={each}>{each}</li>
            ))}
          </ul>
        </Part>
      )}
      {TERMINAL.has(run.state) && !run.is_sweep && (
        <Part title={trans.__('Compared with earlier runs')}>
          <WhyNot uid={run.uid} model={model} />
        </Part>
      )}
      {packages.length > 0 && (
        <Part title={trans.__('Packages')}>
          <ul className="mlrun-Packages">
            {packages.map(([name, version]) => (
              <li key={name}>
                {name} <span className="mlrun-Dim">{version}</span>
              </li>
            ))}
          </ul>
        </Part>
      )}
    </>
  );
}

function WhyNot({ uid, model }: { uid: string; model: Model }) {
  const loaded = useLoad(() => model.client.get<IWhy>(`runs/${uid}/why`), [uid]);
  return (
    <Loaded
      of={loaded}
      draw={why => (
        <>
          <p>{why.headline}</p>
          {why.parts.map(part => (
            <div key={part.title}>
              <h3>{part.title}</h3>
              <pre className="mlrun-Lines">{part.lines.join('\n')}</pre>
            </div>
          ))}
        </>
      )}
    />
  );
}
