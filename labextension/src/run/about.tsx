/** What a run stood on: environment, packages, inputs by content, seeds, and what the cache said. */
import { useEffect, useState } from 'react';
import { ApiError } from '../api/client';
import { RunDetail } from '../api/types';
import { bytes } from '../format';
import { asApiError } from '../model';
import { ErrorBox, useTrans } from '../parts';
import { Facts, Part } from './facts';
import { useHost } from './host';

interface IWhy {
  headline: string;
  parts: { title: string; lines: string[] }[];
}

export function About({ run }: { run: RunDetail }) {
  const trans = useTrans();
  const { model } = useHost();
  const [why, setWhy] = useState<IWhy | null>(null);
  const [error, setError] = useState<ApiError | null>(null);
  useEffect(() => {
    let gone = false;
    model.client.get<IWhy>(`runs/${run.uid}/why`).then(
      found => !gone && setWhy(found),
      failure => !gone && setError(asApiError(failure))
    );
    return () => {
      gone = true;
    };
  }, [run.uid, run.state]);
  const inputs = Object.fromEntries(
    Object.entries(run.inputs).map(([name, uri]) => {
      const digest = run.record.inputs[name];
      return [name, digest ? `${uri}  (${digest.slice(0, 12)})` : uri];
    })
  );
  return (
    <>
      <div className="mlrun-Columns mlrun-About">
        <Facts
          title={trans.__('Run')}
          facts={{
            [trans.__('uid')]: run.uid,
            [trans.__('function')]: run.function,
            [trans.__('handler')]: run.handler,
            [trans.__('executor')]: run.executor,
            [trans.__('owner')]: run.owner,
            [trans.__('commit')]: run.commit,
            [trans.__('folder')]: run.workdir,
            [trans.__('attempt')]: run.attempt > 1 ? run.attempt : '',
            [trans.__('memory')]: run.peak_memory ? bytes(run.peak_memory) : '',
            [trans.__('stored')]: run.size ? bytes(run.size) : '',
            [trans.__('goes on with')]: run.resumed_from,
            ...run.place
          }}
        />
        <Facts title={trans.__('Environment')} facts={run.environment} />
        <Facts title={trans.__('Inputs')} facts={inputs} />
        <Facts title={trans.__('Seeds')} facts={run.record.seeds} />
        <Facts title={trans.__('Tracking')} facts={run.tracking} />
        <Facts title={trans.__('Labels')} facts={run.labels} />
      </div>
      {run.record.unseen.length > 0 && (
        <Part title={trans.__('Read without being declared')}>
          <ul>
            {run.record.unseen.map(each => (
              <li key={each}>{each}</li>
            ))}
          </ul>
        </Part>
      )}
      <Part title={trans.__('Cache')}>
        {error && <ErrorBox error={error} />}
        {why && (
          <>
            <p>{why.headline}</p>
            {why.parts.map(part => (
              <div key={part.title}>
                <p className="mlrun-Dim">{part.title}</p>
                {part.lines.length > 0 && <pre className="mlrun-Lines">{part.lines.join('\n')}</pre>}
              </div>
            ))}
          </>
        )}
      </Part>
      {Object.keys(run.record.packages).length > 0 && (
        <details className="mlrun-Part">
          <summary>{trans.__('Packages that it imported (%1)', Object.keys(run.record.packages).length)}</summary>
          <Facts title="" facts={run.record.packages} />
        </details>
      )}
    </>
  );
}
