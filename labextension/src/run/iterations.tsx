/** The iterations of a sweep in a table that sorts; the best one marked. */
import { useMemo, useState } from 'react';
import { RunDetail, RunSummary } from '../api/types';
import { Commands } from '../commands';
import { duration, value } from '../format';
import { ErrorBox, StateMark, useTrans } from '../parts';
import { useHost } from './host';
import { useChildren } from './live';

const STEP = 200;

interface IColumn {
  key: string;
  title: string;
  of(run: RunSummary): unknown;
}

/** Numbers by size, texts by letter, what is missing at the end either way. */
export function compareValues(one: unknown, other: unknown, down: boolean): number {
  const missing = (each: unknown) => each === undefined || each === null || each === '' || each === 'NaN';
  if (missing(one) || missing(other)) {
    return Number(missing(one)) - Number(missing(other));
  }
  const both = typeof one === 'number' && typeof other === 'number';
  const order = both
    ? one - other
    : String(value(one)).localeCompare(String(value(other)), undefined, { numeric: true });
  return down ? -order : order;
}

/** The names in the records that are not the same in all of them. */
export function varying(records: readonly Record<string, unknown>[]): string[] {
  const names = [...new Set(records.flatMap(Object.keys))];
  return names.filter(name => new Set(records.map(each => value(each[name]))).size > 1);
}

export function Iterations({ run }: { run: RunDetail }) {
  const trans = useTrans();
  const host = useHost();
  const { children, error, ready } = useChildren(host.model, run);
  const [sort, setSort] = useState({ key: 'iteration', down: false });
  const [count, setCount] = useState(STEP);
  const all = useMemo(() => [...children.values()], [children]);
  const columns = useMemo<IColumn[]>(() => {
    const swept = Object.keys(run.hyperparams);
    const params = swept.length ? swept : varying(all.map(each => each.parameters));
    const results = [...new Set(all.flatMap(each => Object.keys(each.results)))];
    return [
      { key: 'iteration', title: '#', of: each => each.iteration },
      { key: 'state', title: trans.__('State'), of: each => each.state },
      ...params.map(name => ({ key: `p.${name}`, title: name, of: (each: RunSummary) => each.parameters[name] })),
      ...results.map(name => ({ key: `r.${name}`, title: name, of: (each: RunSummary) => each.results[name] })),
      { key: 'duration', title: trans.__('Time'), of: each => each.duration }
    ];
  }, [all, run.hyperparams]);
  const rows = useMemo(() => {
    const column = columns.find(each => each.key === sort.key) ?? columns[0];
    return [...all].sort((a, b) => compareValues(column.of(a), column.of(b), sort.down) || a.iteration - b.iteration);
  }, [all, columns, sort]);
  const best = Number(run.results.best_iteration ?? 0);
  if (error && !all.length) {
    return <ErrorBox error={error} />;
  }
  if (!all.length) {
    return <div className="mlrun-Empty">{ready ? trans.__('No iteration has begun yet.') : trans.__('Loading…')}</div>;
  }
  return (
    <div className="mlrun-Table">
      <table aria-label={trans.__('Iterations')}>
        <thead>
          <tr>
            {columns.map(column => (
              <th
                key={column.key}
                scope="col"
                aria-sort={sort.key === column.key ? (sort.down ? 'descending' : 'ascending') : 'none'}
              >
                <button
                  type="button"
                  onClick={() =>
                    setSort(before => ({ key: column.key, down: before.key === column.key && !before.down }))
                  }
                >
                  {column.title}
                  <span aria-hidden="true">{sort.key === column.key ? (sort.down ? ' ▾' : ' ▴') : ''}</span>
                </button>
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.slice(0, count).map(each => (
            <tr
              key={each.uid}
              data-best={best > 0 && each.iteration === best ? 'true' : undefined}
              onClick={() => host.open(Commands.openRun, { uid: each.uid })}
            >
              {columns.map(column => (
                <td key={column.key} title={value(column.of(each) ?? '')}>
                  {column.key === 'iteration' ? (
                    <button
                      type="button"
                      className="mlrun-Link"
                      onClick={event => (event.stopPropagation(), host.open(Commands.openRun, { uid: each.uid }))}
                    >
                      {each.iteration}
                      {best > 0 && each.iteration === best && <span title={trans.__('the best')}> ★</span>}
                    </button>
                  ) : column.key === 'state' ? (
                    <StateMark state={each.state} />
                  ) : column.key === 'duration' ? (
                    duration(each.duration)
                  ) : (
                    value(column.of(each) ?? '')
                  )}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
      {rows.length > count && (
        <button type="button" className="jp-Button jp-mod-styled jp-mod-minimal" onClick={() => setCount(count + STEP)}>
          {trans.__('Show more (%1 of %2)', count, rows.length)}
        </button>
      )}
    </div>
  );
}
