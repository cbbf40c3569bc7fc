/** A list with its filter: what is asked for is looked up by the server, in all that it has. */
import { HTMLSelect } from '@jupyterlab/ui-components';
import { ReactNode, useEffect, useRef, useState } from 'react';
import { Query } from '../api/client';
import { State } from '../api/types';
import { Listing } from '../model';
import { ErrorBox, VirtualList, useTrans } from '../parts';
import { IConditions, matcher, queryOf } from './filter';

const PATIENCE = 250;

export const Empty = ({ children }: { children: ReactNode }) => <div className="mlrun-Empty">{children}</div>;

interface IFiltered<T> {
  label: string;
  listing: Listing<T>;
  height: number;
  keyOf(item: T): string;
  nameOf(item: T): string;
  draw(item: T): ReactNode;
  open(item: T): void;
  /** What to do when there is none. */
  empty: string;
  /** Which conditions the server knows besides a part of the name. */
  takes?: { states?: boolean; labels?: boolean; time?: boolean };
  chosen?: ReadonlySet<string>;
  choose?(keys: ReadonlySet<string>): void;
  foot?: ReactNode;
}

export function Filtered<T extends { labels?: Record<string, string>; created: string; state?: State }>(
  props: IFiltered<T>
) {
  const { label, listing, takes = {} } = props;
  const trans = useTrans();
  const [conditions, setConditions] = useState<IConditions>({ text: '' });
  const first = useRef(true);
  useEffect(() => {
    if (first.current) {
      first.current = false;
      if (!listing.narrowed) {
        return;
      }
    }
    const timer = setTimeout(() => {
      const { label: labels, ...query } = queryOf(conditions);
      const asked: Query = takes.labels ? { ...query, label: labels } : query;
      void listing.narrow(asked, matcher(conditions, props.nameOf));
    }, PATIENCE);
    return () => clearTimeout(timer);
  }, [conditions, listing]);
  const narrowed = !!(conditions.text.trim() || conditions.state || conditions.within);
  return (
    <>
      <div className="mlrun-Filter">
        <input
          type="search"
          className="jp-mod-styled"
          placeholder={takes.labels ? trans.__('Name, or label=value') : trans.__('Name')}
          aria-label={trans.__('Filter %1', label)}
          value={conditions.text}
          onChange={event => setConditions({ ...conditions, text: event.target.value })}
        />
        {takes.states && (
          <States value={conditions.state ?? ''} set={state => setConditions({ ...conditions, state })} />
        )}
        {takes.time && (
          <Times value={conditions.within ?? 0} set={within => setConditions({ ...conditions, within })} />
        )}
      </div>
      <Rows {...props} narrowed={narrowed} clear={() => setConditions({ text: '' })} />
      {props.foot}
    </>
  );
}

function States({ value, set }: { value: State | ''; set(state: State | ''): void }) {
  const trans = useTrans();
  const states: [State | '', string][] = [
    ['', trans.__('any state')],
    ['running', trans.__('running')],
    ['pending', trans.__('waiting')],
    ['completed', trans.__('completed')],
    ['error', trans.__('failed')],
    ['aborted', trans.__('aborted')],
    ['lost', trans.__('lost')]
  ];
  return (
    <HTMLSelect
      aria-label={trans.__('State')}
      value={value}
      onChange={event => set(event.target.value as State | '')}
      data-set={!!value}
    >
      {states.map(([each, name]) => (
        <option key={each} value={each}>
          {name}
        </option>
      ))}
    </HTMLSelect>
  );
}

function Times({ value, set }: { value: number; set(within: number): void }) {
  const trans = useTrans();
  const times: [number, string][] = [
    [0, trans.__('any time')],
    [3600, trans.__('last hour')],
    [86400, trans.__('last day')],
    [7 * 86400, trans.__('last week')],
    [30 * 86400, trans.__('last 30 days')]
  ];
  return (
    <HTMLSelect
      aria-label={trans.__('Time')}
      value={String(value)}
      onChange={event => set(Number(event.target.value))}
      data-set={!!value}
    >
      {times.map(([each, name]) => (
        <option key={each} value={each}>
          {name}
        </option>
      ))}
    </HTMLSelect>
  );
}

function Rows<T>(props: IFiltered<T> & { narrowed: boolean; clear(): void }) {
  const { label, listing, height, keyOf, draw, open, empty, narrowed, clear, chosen, choose } = props;
  const trans = useTrans();
  if (listing.phase === 'loading' && !listing.items.length) {
    return (
      <div className="mlrun-Loading" role="status" aria-label={trans.__('Loading')}>
        {[0, 1, 2].map(at => (
          <div key={at} className="mlrun-Loading-row" style={{ height: height - 12 }} />
        ))}
      </div>
    );
  }
  if (listing.error && !listing.items.length) {
    return <ErrorBox error={listing.error} retry={() => void listing.refresh()} />;
  }
  if (!listing.items.length) {
    return narrowed ? (
      <Empty>
        {trans.__('None is like that.')}{' '}
        <button type="button" className="mlrun-Link" onClick={clear}>
          {trans.__('Show all')}
        </button>
      </Empty>
    ) : (
      <Empty>{empty}</Empty>
    );
  }
  return (
    <>
      {listing.error && (
        <div className="mlrun-Stale">
          <ErrorBox error={listing.error} retry={() => void listing.refresh()} />
          <p className="mlrun-Dim">{trans.__('What is listed below was read before.')}</p>
        </div>
      )}
      <VirtualList
        label={label}
        items={listing.items}
        height={height}
        keyOf={keyOf}
        draw={draw}
        open={open}
        end={() => !listing.moreError && void listing.readMore()}
        chosen={chosen}
        choose={choose}
      />
      {listing.moreError && <ErrorBox error={listing.moreError} retry={() => void listing.readMore()} />}
    </>
  );
}
