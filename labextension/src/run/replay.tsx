/** Whether a replay gave what the first run had given. */
import { useEffect, useState } from 'react';
import { ApiError } from '../api/client';
import { RunDetail, TERMINAL } from '../api/types';
import { Commands } from '../commands';
import { asApiError } from '../model';
import { ErrorBox, useTrans } from '../parts';
import { useHost } from './host';

interface IReplay {
  uid: string;
  equal: boolean;
  outputs: Record<string, { status: string; detail: string }>;
  cell: { number: number; source: string; status: string; detail: string } | null;
  warnings: string[];
}

export function ReplayResult({ run }: { run: RunDetail }) {
  const trans = useTrans();
  const host = useHost();
  const [found, setFound] = useState<IReplay | null>(null);
  const [error, setError] = useState<ApiError | null>(null);
  const over = TERMINAL.has(run.state);
  useEffect(() => {
    let gone = false;
    if (over) {
      host.model.client.get<IReplay>(`runs/${run.uid}/replay`).then(
        it => !gone && setFound(it),
        failure => !gone && setError(asApiError(failure))
      );
    }
    return () => {
      gone = true;
    };
  }, [run.uid, over]);
  const first = run.labels['replay-of'];
  const link = (
    <button type="button" className="mlrun-Link" onClick={() => host.open(Commands.openRun, { uid: first })}>
      {first.slice(0, 12)}
    </button>
  );
  if (error) {
    return <ErrorBox error={error} />;
  }
  return (
    <section className="mlrun-Replay" data-equal={found ? found.equal : undefined} role="status">
      <strong>
        {!found
          ? trans.__('A replay; it is compared when it ends.')
          : found.equal
            ? trans.__('✔ The replay gave the same.')
            : trans.__('✘ The replay gave something else.')}
      </strong>{' '}
      {trans.__('Replay of')} {link}
      {found && (
        <>
          <dl>
            {Object.entries(found.outputs).map(([name, each]) => (
              <div key={name}>
                <dt>{name}</dt>
                <dd title={each.detail}>{[each.status, each.detail].filter(Boolean).join(': ')}</dd>
              </div>
            ))}
          </dl>
          {found.cell && (
            <div>{trans.__('Cell %1 shows something else: %2', found.cell.number, found.cell.detail)}</div>
          )}
          {found.warnings.map(each => (
            <div key={each} className="mlrun-Dim">
              {trans.__('Not as it was then: %1', each)}
            </div>
          ))}
        </>
      )}
    </section>
  );
}
