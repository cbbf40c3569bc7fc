/** What differs between runs: a row for each thing, a column for each run. */
import { memo, useMemo, useState } from 'react';
import { Comparison } from '../api/types';
import { strokeOf } from '../charts/chart';
import { value } from '../format';
import { StateMark, useTrans } from '../parts';
import { Link, Part } from '../views/pieces';

/** From so many rows on, a field finds some of them. */
const MANY = 20;

/** The beginnings of uids that tell apart; the first digits are the time. */
export const tag = (uid: string) => `${uid.slice(0, 8)}…${uid.slice(-4)}`;

interface IDifferences {
  found: Comparison;
  /** The runs that are chosen among them; null: all. */
  chosen: ReadonlySet<number> | null;
  open(uid: string): void;
  remove: ((uid: string) => void) | null;
}

export function Differences({ found, chosen, open, remove }: IDifferences) {
  const trans = useTrans();
  const [sought, setSought] = useState('');
  const titles: Record<string, string> = {
    run: trans.__('Run'),
    parameters: trans.__('Parameters'),
    results: trans.__('Results'),
    inputs: trans.__('Inputs'),
    code: trans.__('Code'),
    environment: trans.__('Environment'),
    packages: trans.__('Packages')
  };
  const groups = useMemo(() => {
    const by = new Map<string, Comparison['rows']>();
    for (const row of found.rows) {
      if (row.name.toLowerCase().includes(sought.trim().toLowerCase())) {
        by.set(row.section, [...(by.get(row.section) ?? []), row]);
      }
    }
    return [...by];
  }, [found, sought]);
  const many = found.rows.length >= MANY;
  return (
    <Part
      title={trans.__('Differences')}
      side={
        many && (
          <input
            type="search"
            className="jp-mod-styled mlrun-Compare-sought"
            placeholder={trans.__('Name of a row')}
            aria-label={trans.__('Filter the rows')}
            value={sought}
            onChange={event => setSought(event.target.value)}
          />
        )
      }
    >
      {found.rows.length === 0 ? (
        <p className="mlrun-Dim">{trans.__('Nothing differs between them.')}</p>
      ) : (
        <div className="mlrun-Scroll" tabIndex={0} role="region" aria-label={trans.__('What differs, by run')}>
          <table className="mlrun-Table">
            <thead>
              <tr>
                <th scope="col">{trans.__('what')}</th>
                {found.runs.map((run, at) => (
                  <th key={run.uid} scope="col" data-dim={!!chosen && !chosen.has(at)}>
                    <span
                      className="mlrun-Compare-swatch"
                      aria-hidden="true"
                      style={{ background: strokeOf(at).stroke }}
                    />
                    <Link onClick={() => open(run.uid)} title={run.uid}>
                      {run.name}
                    </Link>
                    {remove && (
                      <button
                        type="button"
                        className="jp-Button jp-mod-minimal mlrun-Compare-remove"
                        aria-label={trans.__('Leave out %1 %2', run.name, tag(run.uid))}
                        title={trans.__('Leave out')}
                        onClick={() => remove(run.uid)}
                      >
                        ×
                      </button>
                    )}
                    <div className="mlrun-Table-type">
                      <StateMark state={run.state} bare /> {tag(run.uid)}
                    </div>
                  </th>
                ))}
              </tr>
            </thead>
            {groups.map(([section, rows]) => (
              <tbody key={section}>
                <tr className="mlrun-Compare-section">
                  <th scope="rowgroup" colSpan={found.runs.length + 1}>
                    <span>{titles[section] ?? section}</span>
                  </th>
                </tr>
                {rows.map(row => (
                  <Row key={row.name} row={row} chosen={chosen} />
                ))}
              </tbody>
            ))}
          </table>
          {groups.length === 0 && <p className="mlrun-Empty">{trans.__('No row has such a name.')}</p>}
        </div>
      )}
      {found.identical > 0 && (
        <p className="mlrun-Dim mlrun-Note">{trans.__('%1 more are the same in all of them.', found.identical)}</p>
      )}
    </Part>
  );
}

const Row = memo(function Row(props: { row: Comparison['rows'][number]; chosen: ReadonlySet<number> | null }) {
  const { row, chosen } = props;
  const differs = new Set(row.values.map(each => JSON.stringify(each))).size > 1;
  return (
    <tr data-differs={differs}>
      <th scope="row" title={row.name}>
        {row.name}
      </th>
      {row.values.map((each, at) => (
        <td key={at} title={each === null ? '' : value(each)} data-dim={!!chosen && !chosen.has(at)}>
          {each === null || each === undefined ? <span className="mlrun-Dim">–</span> : value(each)}
        </td>
      ))}
    </tr>
  );
});
