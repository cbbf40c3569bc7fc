/** The view that compares runs: a table of what differs, curves laid over each other, parallel coordinates. */
import { LabIcon } from '@jupyterlab/ui-components';
import { TranslationBundle } from '@jupyterlab/translation';
import { ReactNode, useEffect, useMemo, useRef, useState } from 'react';
import { Comparison } from '../api/types';
import { LineChart } from '../charts/chart';
import { Model } from '../model';
import { useTrans } from '../parts';
import { Button, Loaded, Part, View, useLoad } from '../views/pieces';
import { Range, axesOf, within } from './axes';
import { Parallel } from './parallel';
import { Differences, tag } from './table';

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
          <Shown
            key={found.runs.map(each => each.uid).join()}
            found={found}
            open={open}
            remove={uids.length > 2 ? uid => setUids(uids.filter(each => each !== uid)) : null}
            keep={setUids}
          />
        )}
      />
    </div>
  );
}

interface IShown {
  found: Comparison;
  open(uid: string): void;
  remove: ((uid: string) => void) | null;
  keep(uids: string[]): void;
}

function Shown({ found, open, remove, keep }: IShown) {
  const trans = useTrans();
  const axes = useMemo(() => axesOf(found), [found]);
  const [ranges, setRanges] = useState<ReadonlyMap<string, Range>>(new Map());
  const chosen = useMemo(() => within(axes, ranges), [axes, ranges]);
  const faded = useMemo(
    () => (chosen ? new Set(found.runs.map((_, at) => at).filter(at => !chosen.has(at))) : undefined),
    [found, chosen]
  );
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
      <Differences found={found} chosen={chosen} open={open} remove={remove} />
      {axes.length > 1 && (
        <Part title={trans.__('Parallel coordinates')}>
          <Parallel
            axes={axes}
            runs={found.runs}
            ranges={ranges}
            chosen={chosen}
            choose={setRanges}
            open={open}
            keep={keep}
          />
        </Part>
      )}
      {curves.length > 0 && (
        <Part title={trans.__('Metrics')}>
          <div className="mlrun-Charts">
            {curves.map(([key, series], at) => (
              <InSight key={key} title={key} height={260} first={at < 6}>
                <LineChart title={key} series={series} faded={faded} />
              </InSight>
            ))}
          </div>
        </Part>
      )}
    </>
  );
}

/** Draws its content once it comes near to what is seen; until then its title holds the place. */
function InSight(props: { title: string; height: number; first: boolean; children: ReactNode }) {
  const node = useRef<HTMLDivElement>(null);
  const [seen, setSeen] = useState(props.first);
  useEffect(() => {
    if (seen) {
      return undefined;
    }
    const watcher = new IntersectionObserver(entries => entries.some(each => each.isIntersecting) && setSeen(true), {
      rootMargin: '600px'
    });
    watcher.observe(node.current!);
    return () => watcher.disconnect();
  }, [seen]);
  return (
    <div ref={node} className="mlrun-InSight">
      {seen ? (
        props.children
      ) : (
        <div className="mlrun-Chart-title" style={{ height: props.height }}>
          {props.title}
        </div>
      )}
    </div>
  );
}
