/** The head of a dataset, and what is known of each of its columns. */
import { useState } from 'react';
import { ArtifactDetail } from '../api/types';
import { value as shown } from '../format';
import { useTrans } from '../parts';
import { Tabs } from '../views/pieces';
import { IColumn, columnsOf } from './kinds';

/** A distribution as bars; what it says is its label. */
export function Histogram({ hist, label }: { hist: [number[], number[]]; label: string }) {
  const [counts] = hist;
  const most = Math.max(1, ...counts);
  const width = 100 / counts.length;
  return (
    <svg className="mlrun-Histogram" viewBox="0 0 100 28" preserveAspectRatio="none" role="img" aria-label={label}>
      {counts.map((count, at) => {
        const height = count ? Math.max(1, (28 * count) / most) : 0;
        return <rect key={at} x={at * width} y={28 - height} width={width * 0.86} height={height} />;
      })}
    </svg>
  );
}

/** What a column has, in small. */
export function ColumnSketch({ column }: { column: IColumn }) {
  const trans = useTrans();
  const { stats, name } = column;
  if (stats.hist) {
    const range = trans.__('%1 to %2', shown(stats.min), shown(stats.max));
    return (
      <>
        <Histogram hist={stats.hist} label={trans.__('Distribution of %1, %2', name, range)} />
        <div className="mlrun-Ends">
          <span>{shown(stats.min)}</span>
          <span>{shown(stats.max)}</span>
        </div>
      </>
    );
  }
  if (!stats.unique) {
    return <span className="mlrun-Dim">{stats.count === 0 ? trans.__('no values') : ''}</span>;
  }
  const part = stats.count ? stats.freq / stats.count : 0;
  return (
    <>
      <div className="mlrun-Top" title={stats.top}>
        <span style={{ width: `${100 * part}%` }} aria-hidden="true" />
        <em>{stats.top}</em>
      </div>
      <div className="mlrun-Ends">
        <span>{trans.__('%1 different', stats.unique)}</span>
        <span>{`${Math.round(100 * part)} %`}</span>
      </div>
    </>
  );
}

const cell = (of: unknown) => (of === null || of === undefined ? '' : shown(of));
const isNumber = (column: IColumn) => !!column.stats.hist || /int|float|number|decimal/.test(column.type);

export function DatasetPreview({ artifact }: { artifact: ArtifactDetail }) {
  const trans = useTrans();
  const [tab, setTab] = useState<'rows' | 'columns'>('rows');
  const columns = columnsOf(artifact);
  const rows = ((artifact.status as any).preview ?? []) as unknown[][];
  const length = (artifact.spec as any).length as number | undefined;
  const all = ((artifact.status as any).header_original_length as number | undefined) ?? columns.length;
  const size = [
    length !== undefined ? trans.__('%1 rows', length.toLocaleString()) : '',
    trans.__('%1 columns', all),
    all > columns.length ? trans.__('the first %1 are shown', columns.length) : ''
  ];
  return (
    <div className="mlrun-Dataset">
      <div className="mlrun-Dataset-bar">
        <Tabs
          label={trans.__('Table')}
          at={tab}
          set={setTab}
          tabs={[
            ['rows', trans.__('Rows')],
            ['columns', trans.__('Columns')]
          ]}
        />
        <span className="mlrun-Dim">{size.filter(Boolean).join(', ')}</span>
      </div>
      {tab === 'rows' ? (
        <Rows columns={columns} rows={rows} length={length} />
      ) : (
        <Columns columns={columns} length={length} />
      )}
    </div>
  );
}

export function Rows({ columns, rows, length }: { columns: IColumn[]; rows: unknown[][]; length?: number }) {
  const trans = useTrans();
  return (
    <>
      <div className="mlrun-Scroll" tabIndex={0} role="region" aria-label={trans.__('First rows')}>
        <table className="mlrun-Table mlrun-mod-rows">
          <thead>
            <tr>
              <th scope="col" aria-label={trans.__('Index')} />
              {columns.map(each => (
                <th key={each.name} scope="col" data-number={isNumber(each) || undefined}>
                  <div className="mlrun-Table-name" title={each.name}>
                    {each.name}
                  </div>
                  <div className="mlrun-Table-type">{each.type}</div>
                  <ColumnSketch column={each} />
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {rows.map((row, at) => (
              <tr key={at}>
                <th scope="row">{cell(row[0])}</th>
                {columns.map((each, index) => {
                  const text = cell(row[index + 1]);
                  return (
                    <td key={each.name} data-number={isNumber(each) || undefined} title={text}>
                      {text || <span className="mlrun-Dim">–</span>}
                    </td>
                  );
                })}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {!rows.length && <p className="mlrun-Dim">{trans.__('No rows were recorded.')}</p>}
      {length !== undefined && length > rows.length && rows.length > 0 && (
        <p className="mlrun-Dim mlrun-Note">{trans.__('The first %1 of them.', rows.length)}</p>
      )}
    </>
  );
}

const FIGURES = ['mean', 'std', 'min', '25%', '50%', '75%', 'max', 'unique', 'top', 'freq'] as const;

export function Columns({ columns, length }: { columns: IColumn[]; length?: number }) {
  const trans = useTrans();
  const figures = FIGURES.filter(name => columns.some(each => each.stats[name] !== undefined));
  return (
    <div className="mlrun-Scroll" tabIndex={0} role="region" aria-label={trans.__('Columns')}>
      <table className="mlrun-Table mlrun-mod-columns">
        <thead>
          <tr>
            <th scope="col">{trans.__('column')}</th>
            <th scope="col">{trans.__('type')}</th>
            <th scope="col">{trans.__('distribution')}</th>
            <th scope="col" data-number>
              {trans.__('missing')}
            </th>
            {figures.map(name => (
              <th key={name} scope="col" data-number>
                {name}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {columns.map(each => (
            <tr key={each.name}>
              <th scope="row" title={each.name}>
                {each.name}
              </th>
              <td className="mlrun-Table-type">{each.type}</td>
              <td className="mlrun-Table-sketch">
                {each.stats.hist && (
                  <Histogram hist={each.stats.hist} label={trans.__('Distribution of %1', each.name)} />
                )}
              </td>
              <td data-number>{missing(each, length)}</td>
              {figures.map(name => (
                <td key={name} data-number title={cell(each.stats[name])}>
                  {cell(each.stats[name])}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function missing(column: IColumn, length: number | undefined): string {
  const lost = length !== undefined && column.stats.count !== undefined ? length - column.stats.count : 0;
  return lost > 0 ? `${((100 * lost) / length!).toFixed(lost / length! < 0.1 ? 1 : 0)} %` : '';
}
