/** The runs of a sweep, as a table: the best first, each a click away. */
import { useMemo, useState } from 'react';
import { Page, RunDetail, RunSummary } from '../api/types';
import { duration, value } from '../format';
import { Model } from '../model';
import { ErrorBox, StateMark, useTrans } from '../parts';
import { Button, useLoad } from '../views/pieces';
import { useFollowed, useMissed } from './use';

const PAGE = 200;

type Order = { by: string; down: boolean };

export function Children({ run, model, open }: { run: RunDetail; model: Model; open(uid: string): void }) {
  const trans = useTrans();
  const [limit, setLimit] = useState(PAGE);
  const missed = useMissed(model);
  const loaded = useLoad(
    () =>
      model.client.get<Page<RunSummary>>(`projects/${encodeURIComponent(run.project)}/runs`, {
        parent: run.uid,
        limit
      }),
    [run.uid, limit],
    `${run.state} ${missed}`
  );
  const rows = useFollowed(model, loaded.value?.items, next => next.parent === run.uid, run.uid);
  const [order, setOrder] = useState<Order>({ by: '', down: false });
  const varied = useMemo(() => {
    const names = [...new Set(rows.flatMap(each => Object.keys(each.parameters)))];
    return names.filter(name => new Set(rows.map(each => JSON.stringify(each.parameters[name]))).size > 1);
  }, [rows]);
  const results = useMemo(() => [...new Set(rows.flatMap(each => Object.keys(each.results)))], [rows]);
  const of = (row: RunSummary, by: string): unknown =>
    by.startsWith('p:')
      ? row.parameters[by.slice(2)]
      : by.startsWith('r:')
        ? row.results[by.slice(2)]
        : by === 'time'
          ? row.duration
          : row.iteration || row.created;
  const sorted = useMemo(() => {
    const sign = order.down ? -1 : 1;
    return [...rows].sort((one, other) => {
      const a = of(one, order.by);
      const b = of(other, order.by);
      // what has no such value comes last, whatever the direction
      if (a === undefined || a === null || b === undefined || b === null) {
        return Number(a === undefined || a === null) - Number(b === undefined || b === null);
      }
      return sign * (typeof a === 'number' && typeof b === 'number' ? a - b : String(a) < String(b) ? -1 : 1);
    });
  }, [rows, order]);
  const best = Number(run.results.best_iteration ?? 0);
  const head = (by: string, title: string) => (
    <th key={by} scope="col" aria-sort={order.by === by ? (order.down ? 'descending' : 'ascending') : 'none'}>
      <button
        type="button"
        className="mlrun-Sort"
        onClick={() => setOrder({ by, down: order.by === by ? !order.down : by.startsWith('r:') })}
      >
        {title}
        <span aria-hidden="true">{order.by === by ? (order.down ? ' ↓' : ' ↑') : ''}</span>
      </button>
    </th>
  );
  if (!loaded.value) {
    return loaded.error ? <ErrorBox error={loaded.error} retry={loaded.again} /> : null;
  }
  return (
    <>
      <div className="mlrun-Scroll" tabIndex={0} role="region" aria-label={trans.__('Runs of the sweep')}>
        <table className="mlrun-Table">
          <thead>
            <tr>
              {head('', trans.__('run'))}
              {varied.map(name => head(`p:${name}`, name))}
              {results.map(name => head(`r:${name}`, name))}
              {head('time', trans.__('time'))}
            </tr>
          </thead>
          <tbody>
            {sorted.map(row => (
              <tr key={row.uid} data-best={!!best && row.iteration === best}>
                <th scope="row">
                  <button type="button" className="mlrun-Link" onClick={() => open(row.uid)}>
                    <StateMark state={row.state} bare /> {row.iteration || row.uid.slice(0, 8)}
                    {!!best && row.iteration === best ? ` · ${trans.__('best')}` : ''}
                  </button>
                </th>
                {varied.map(name => (
                  <td key={name}>{row.parameters[name] === undefined ? '' : value(row.parameters[name])}</td>
                ))}
                {results.map(name => (
                  <td key={name}>{row.results[name] === undefined ? '' : value(row.results[name])}</td>
                ))}
                <td>{duration(row.duration)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {loaded.value.next_page_token && (
        <Button look="minimal" onClick={() => setLimit(limit + PAGE)}>
          {trans.__('Show more')}
        </Button>
      )}
    </>
  );
}
