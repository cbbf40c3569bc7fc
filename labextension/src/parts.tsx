/** Small pieces that the panel and the views share. */
import { TranslationBundle } from '@jupyterlab/translation';
import { Component, ReactNode, createContext, useContext, useEffect, useLayoutEffect, useRef, useState } from 'react';
import { ApiError } from './api/client';
import { RunSummary, State } from './api/types';
import { duration } from './format';

export const Trans = createContext<TranslationBundle>(null as unknown as TranslationBundle);
export const useTrans = () => useContext(Trans);

/** A dot with the state's name; the name is also what a screen reader says. */
export function StateMark({ state, bare }: { state: State; bare?: boolean }) {
  const trans = useTrans();
  const names: Record<State, string> = {
    created: trans.__('created'),
    pending: trans.__('waiting'),
    running: trans.__('running'),
    completed: trans.__('completed'),
    error: trans.__('failed'),
    aborted: trans.__('aborted'),
    lost: trans.__('lost')
  };
  return (
    <span className="mlrun-State" data-state={state} title={names[state]}>
      <span className="mlrun-State-dot" role="img" aria-label={names[state]} />
      {!bare && <span aria-hidden="true">{names[state]}</span>}
    </span>
  );
}

/** How long a run took; while it goes on, counted here second by second, so that only this is drawn anew. */
export function Took({ run }: { run: RunSummary }) {
  const [, tick] = useState(0);
  const begun = Date.parse(run.started);
  const counts = run.state === 'running' && !Number.isNaN(begun);
  useEffect(() => {
    if (!counts) {
      return undefined;
    }
    const timer = setInterval(() => tick(before => before + 1), 1000);
    return () => clearInterval(timer);
  }, [counts]);
  return <>{duration(counts ? Math.max(0, (Date.now() - begun) / 1000) : run.duration)}</>;
}

export function ErrorBox({ error, retry }: { error: ApiError; retry?: () => void }) {
  const trans = useTrans();
  return (
    <div className="mlrun-Error" role="alert">
      <strong>{error.what}</strong>
      {error.why && <div>{error.why}</div>}
      {error.nextStep && <div className="mlrun-Error-next">{error.nextStep}</div>}
      {retry && (
        <button className="jp-Button jp-mod-styled jp-mod-minimal" onClick={retry}>
          {trans.__('Try again')}
        </button>
      )}
    </div>
  );
}

/** Keeps the failure of one part from blanking the others. */
export class Boundary extends Component<{ name: string; children: ReactNode }, { failed: Error | null }> {
  static contextType = Trans;
  state = { failed: null as Error | null };

  static getDerivedStateFromError(failed: Error) {
    return { failed };
  }

  componentDidCatch(error: Error) {
    console.error(`MLRun: "${this.props.name}" could not be drawn`, error);
  }

  render() {
    if (!this.state.failed) {
      return this.props.children;
    }
    const trans = this.context as TranslationBundle;
    const error = new ApiError(
      -1,
      trans.__('"%1" could not be drawn.', this.props.name),
      this.state.failed.message,
      ''
    );
    return <ErrorBox error={error} retry={() => this.setState({ failed: null })} />;
  }
}

interface IVirtualList<T> {
  label: string;
  items: readonly T[];
  height: number;
  keyOf(item: T): string;
  draw(item: T): ReactNode;
  open(item: T): void;
  end?(): void;
  /** Keys of the rows that are chosen; without it none can be. */
  chosen?: ReadonlySet<string>;
  choose?(keys: ReadonlySet<string>): void;
}

/** The range of rows to draw: those in sight and a few around. */
export function rowsInSight(top: number, seen: number, height: number, count: number): [number, number] {
  const first = Math.max(0, Math.floor(top / height) - 5);
  return [first, Math.min(count, Math.ceil((top + seen) / height) + 5)];
}

/** A list of which only what is in sight is drawn. Arrow keys, Home, End move; Enter opens; blank chooses, as Ctrl and Shift with a click do. */
export function VirtualList<T>({ label, items, height, keyOf, draw, open, end, chosen, choose }: IVirtualList<T>) {
  const node = useRef<HTMLDivElement>(null);
  const [place, setPlace] = useState({ top: 0, seen: 400 });
  const [at, setAt] = useState(0);
  useLayoutEffect(() => {
    const list = node.current!;
    const measure = () => setPlace({ top: list.scrollTop, seen: list.clientHeight });
    const watcher = new ResizeObserver(measure);
    watcher.observe(list);
    measure();
    return () => watcher.disconnect();
  }, []);
  const [first, last] = rowsInSight(place.top, place.seen, height, items.length);
  // at each drawing: whoever was asked may have been busy then, and not read on
  useLayoutEffect(() => {
    if (end && items.length && last >= items.length - 20) {
      end();
    }
  });
  const focus = Math.min(at, items.length - 1);
  const move = (to: number) => {
    const next = Math.max(0, Math.min(items.length - 1, to));
    setAt(next);
    const list = node.current!;
    if (next * height < list.scrollTop) {
      list.scrollTop = next * height;
    } else if ((next + 1) * height > list.scrollTop + list.clientHeight) {
      list.scrollTop = (next + 1) * height - list.clientHeight;
    }
    // the browser tells of scrolling later; until then the row that is named as the active one would not be there
    setPlace({ top: list.scrollTop, seen: list.clientHeight });
  };
  const anchor = useRef(0);
  const toggle = (index: number, range: boolean) => {
    const next = new Set(chosen);
    if (range) {
      const [from, to] = [anchor.current, index].sort((one, other) => one - other);
      items.slice(from, to + 1).forEach(item => next.add(keyOf(item)));
    } else {
      anchor.current = index;
      if (!next.delete(keyOf(items[index]))) {
        next.add(keyOf(items[index]));
      }
    }
    choose!(next);
  };
  const key = (event: React.KeyboardEvent) => {
    const page = Math.max(1, Math.floor(place.seen / height) - 1);
    const steps: Record<string, number> = {
      ArrowDown: focus + 1,
      ArrowUp: focus - 1,
      Home: 0,
      End: items.length - 1,
      PageDown: focus + page,
      PageUp: focus - page
    };
    if (event.key in steps) {
      move(steps[event.key]);
    } else if (event.key === ' ' && choose && items[focus]) {
      toggle(focus, event.shiftKey);
    } else if (event.key === 'Escape' && chosen?.size) {
      choose!(new Set());
    } else if ((event.key === 'Enter' || event.key === ' ') && items[focus]) {
      open(items[focus]);
    } else {
      return;
    }
    event.preventDefault();
    event.stopPropagation();
  };
  return (
    <div
      className="mlrun-List"
      ref={node}
      role="listbox"
      aria-label={label}
      aria-multiselectable={!!choose}
      data-choosing={!!chosen?.size}
      tabIndex={0}
      onKeyDown={key}
      aria-activedescendant={items[focus] ? `${label}-${keyOf(items[focus])}` : undefined}
      onScroll={event => setPlace({ top: event.currentTarget.scrollTop, seen: event.currentTarget.clientHeight })}
    >
      <div style={{ height: items.length * height, position: 'relative' }}>
        {items.slice(first, last).map((item, index) => (
          <div
            key={keyOf(item)}
            id={`${label}-${keyOf(item)}`}
            role="option"
            aria-selected={choose ? !!chosen?.has(keyOf(item)) : first + index === focus}
            data-at={first + index === focus}
            data-key={keyOf(item)}
            aria-posinset={first + index + 1}
            aria-setsize={items.length}
            className="mlrun-Row"
            style={{ top: (first + index) * height, height }}
            onClick={event => {
              setAt(first + index);
              if (choose && (event.ctrlKey || event.metaKey || event.shiftKey)) {
                toggle(first + index, event.shiftKey);
              } else {
                open(item);
              }
            }}
            onContextMenu={() => setAt(first + index)}
          >
            {choose && (
              <input
                type="checkbox"
                className="mlrun-Row-choose"
                tabIndex={-1}
                aria-hidden="true"
                checked={!!chosen?.has(keyOf(item))}
                onChange={() => undefined}
                onClick={event => {
                  event.stopPropagation();
                  toggle(first + index, event.shiftKey);
                }}
              />
            )}
            {draw(item)}
          </div>
        ))}
      </div>
    </div>
  );
}
