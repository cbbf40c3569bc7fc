/** The view that compares runs: a table of what differs, curves laid over each other, parallel coordinates. */
import { LabIcon } from '@jupyterlab/ui-components';
import { TranslationBundle } from '@jupyterlab/translation';
import { useMemo, useState } from 'react';
import { Comparison } from '../api/types';
import { LineChart, strokeOf } from '../charts/chart';
import { value } from '../format';
import { Model } from '../model';
import { StateMark, useTrans } from '../parts';
import { Button, Link, Loaded, Part, View, useLoad } from '../views/pieces';
import { axesOf } from './axes';
import { Parallel } from './parallel';

export const MOST_RUNS = 50;

export class CompareView extends View {
  constructor(
    key: string,
    uids: readonly string[],
    icon: LabIcon,
    private readonly _model: Model,
    private readonly _open: (uid: string) => void,
    trans: TranslationBundle
  ) {
    super(key, { uids: [...uids] }, 'mlrun-compare', icon, trans);
    this.title.label = trans.__('%1 runs compared', uids.length);
    this.title.caption = uids.map(uid => uid.slice(0, 8)).join(', ');
    this._uids = uids;
  }

  protected body() {
    return <Body first={this._uids} model={this._model} open={this._open} />;
  }

  private readonly _uids: readonly string[];
}

/** The beginnings of uids that tell apart; the first digits are the time. */
const tag = (uid: string) => `${uid.slice(0, 8)}…${uid.slice(-4)}`;

function Body({ first, model, open }: { first: readonly string[]; model: Model; open(uid: string): void }) {
  const trans = useTrans();
  const [uids, setUids] = useState(first);
  const [all, setAll] = useState(false);
  const loaded = useLoad(
    () => model.client.get<Comparison>('compare', { uid: uids, identical: all }),
    [uids.join(), all]
  );
  const others = model.runs.items.filter(each => !uids.includes(each.uid) && !each.iteration).slice(0, 100);
  return (
    <div className="mlrun-Page mlrun-Compare">
      <header>
        <h1>{trans.__('%1 runs compared', uids.length)}</h1>
        <div className="mlrun-Buttons">
          {others.length > 0 && uids.length < MOST_RUNS && (
            <select
              className="jp-mod-styled"
              aria-label={trans.__('Add a run')}
              value=""
              onChange={event => event.target.value && setUids([...uids, event.target.value])}
            >
              <option value="">{trans.__('Add a run…')}</option>
              {others.map(each => (
                <option key={each.uid} value={each.uid}>{`${each.name} · ${tag(each.uid)}`}</option>
              ))}
            </select>
          )}
          <Button look="minimal" onClick={() => setAll(!all)}>
            {all ? trans.__('Show differences only') : trans.__('Show what is the same')}
          </Button>
          {loaded.value && (
            <a
              className="jp-Button jp-mod-styled jp-mod-minimal mlrun-ButtonLink"
              href={model.client.url('compare/page', { uid: uids })}
              target="_blank"
              rel="noopener noreferrer"
            >
              {trans.__('As a page')}
            </a>
          )}
        </div>
      </header>
      <Loaded
        of={loaded}
        draw={found => (
          <>
            <Differences
              found={found}
              open={open}
              remove={uids.length > 2 ? uid => setUids(uids.filter(each => each !== uid)) : null}
            />
            <Pictures found={found} open={open} />
          </>
        )}
      />
    </div>
  );
}

function Differences(props: { found: Comparison; open(uid: string): void; remove: ((uid: string) => void) | null }) {
  const { found, open, remove } = props;
  const trans = useTrans();
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
      by.set(row.section, [...(by.get(row.section) ?? []), row]);
    }
    return [...by];
  }, [found]);
  return (
    <Part title={trans.__('Differences')}>
      {found.rows.length === 0 ? (
        <p className="mlrun-Dim">{trans.__('Nothing differs between them.')}</p>
      ) : (
        <div className="mlrun-Scroll" tabIndex={0} role="region" aria-label={trans.__('Differences')}>
          <table className="mlrun-Table">
            <thead>
              <tr>
                <th scope="col">{trans.__('what')}</th>
                {found.runs.map((run, at) => (
                  <th key={run.uid} scope="col">
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
                    {titles[section] ?? section}
                  </th>
                </tr>
                {rows.map(row => {
                  const differs = new Set(row.values.map(each => JSON.stringify(each))).size > 1;
                  return (
                    <tr key={row.name} data-differs={differs}>
                      <th scope="row">{row.name}</th>
                      {row.values.map((each, at) => (
                        <td key={at} title={each === null ? '' : value(each)}>
                          {each === null || each === undefined ? <span className="mlrun-Dim">–</span> : value(each)}
                        </td>
                      ))}
                    </tr>
                  );
                })}
              </tbody>
            ))}
          </table>
        </div>
      )}
      {found.identical > 0 && (
        <p className="mlrun-Dim mlrun-Note">{trans.__('%1 more are the same in all of them.', found.identical)}</p>
      )}
    </Part>
  );
}

function Pictures({ found, open }: { found: Comparison; open(uid: string): void }) {
  const trans = useTrans();
  const axes = useMemo(() => axesOf(found), [found]);
  const curves = useMemo(
    () =>
      Object.entries(found.metrics)
        .map(
          ([key, some]) =>
            [
              key,
              some.map((points, at) => ({
                name: `${found.runs[at].name} ${tag(found.runs[at].uid)}`,
                points: points as unknown as [number, number | null][]
              }))
            ] as const
        )
        .filter(([, series]) => series.some(each => each.points.length > 1)),
    [found]
  );
  return (
    <>
      {axes.length > 1 && (
        <Part title={trans.__('Parallel coordinates')}>
          <Parallel axes={axes} runs={found.runs} open={open} />
        </Part>
      )}
      {curves.length > 0 && (
        <Part title={trans.__('Metrics')}>
          <div className="mlrun-Charts">
            {curves.map(([key, series]) => (
              <LineChart key={key} title={key} series={series} />
            ))}
          </div>
        </Part>
      )}
    </>
  );
}
