/** Line charts in SVG: axes with round ticks, a legend, what is under the pointer or the arrow keys, a table instead. */
import { KeyboardEvent, PointerEvent, memo, useLayoutEffect, useMemo, useRef, useState } from 'react';
import { value as shown } from '../format';
import { useTrans } from '../parts';
import { ISeries, XY, extent, nearest, pieces, thin } from './points';
import { IScale, linear, logarithmic, tickText } from './scale';

const COLOURS = 8;
const DASHES = ['', '6 3', '2 3'];
const EDGE = { top: 10, right: 12, bottom: 26 };
const ROWS = 500;
/** With more curves than that, the legend tells only of the one that is pointed at. */
const MANY = 10;

/** How the series at an index is drawn: by colour, and by dashes where the colours come to their end. */
export function strokeOf(index: number): { stroke: string; strokeDasharray?: string } {
  const dash = DASHES[Math.floor(index / COLOURS) % DASHES.length];
  return { stroke: `var(--mlrun-series-${(index % COLOURS) + 1})`, ...(dash ? { strokeDasharray: dash } : {}) };
}

export interface ILineChart {
  title: string;
  series: readonly ISeries[];
  /** Of the x-axis; "step" when left out. */
  across?: string;
  /** Pixels. */
  height?: number;
  /** The places of series that stand back. */
  faded?: ReadonlySet<number>;
}

export const LineChart = memo(function LineChart({ title, series, across, height = 200, faded }: ILineChart) {
  const trans = useTrans();
  const node = useRef<HTMLDivElement>(null);
  const [width, setWidth] = useState(0);
  const [log, setLog] = useState(false);
  const [table, setTable] = useState(false);
  const [at, setAt] = useState<number | null>(null);
  const [near, setNear] = useState<number | null>(null);
  // the arrow keys know no height: they tell of the lowest and the highest
  const [keyed, setKeyed] = useState(false);
  useLayoutEffect(() => {
    const measure = () => setWidth(node.current?.clientWidth ?? 0);
    const watcher = new ResizeObserver(measure);
    watcher.observe(node.current!);
    measure();
    return () => watcher.disconnect();
  }, []);
  const label = across ?? trans.__('step');
  const values = useMemo(() => {
    const all = function* () {
      for (const each of series) {
        for (const point of each.points) {
          yield point[1];
        }
      }
    };
    return {
      plain: extent(all(), Number.isFinite),
      positive: extent(all(), each => each > 0 && Number.isFinite(each))
    };
  }, [series]);
  // a log scale is offered where it has something to show
  const canLog = !!values.positive && values.plain![0] > 0 && values.positive[1] > values.positive[0];
  const logged = log && canLog;
  const drawn = useMemo(
    () => (width > 0 && values.plain && !table ? draw(series, width, height, logged) : null),
    [series, width, height, logged, values, table]
  );
  const many = series.length > MANY;
  const count = series.reduce((sum, each) => sum + each.points.length, 0);
  const xs = useMemo(() => (at === null ? [] : distinct(series)), [series, at === null]);
  const move = (event: KeyboardEvent) => {
    const all = xs.length ? xs : distinct(series);
    const here = at === null ? -1 : all.findIndex(x => x >= at);
    const steps: Record<string, number> = {
      ArrowRight: here + 1,
      ArrowLeft: here < 0 ? all.length - 1 : here - 1,
      Home: 0,
      End: all.length - 1,
      PageDown: here + Math.ceil(all.length / 10),
      PageUp: here - Math.ceil(all.length / 10)
    };
    if (event.key === 'Escape' && at !== null) {
      leave();
    } else if (event.key in steps && all.length) {
      setAt(all[Math.max(0, Math.min(all.length - 1, steps[event.key]))]);
      setNear(null);
      setKeyed(true);
    } else {
      return;
    }
    event.preventDefault();
    event.stopPropagation();
  };
  const point = (event: PointerEvent<SVGSVGElement>) => {
    if (drawn) {
      const place = event.clientX - event.currentTarget.getBoundingClientRect().left - drawn.left;
      const x = drawn.x.low + (place / drawn.inner) * (drawn.x.high - drawn.x.low);
      const step = closest(series, x);
      setAt(step);
      setKeyed(false);
      if (many && step !== null) {
        const high = event.clientY - event.currentTarget.getBoundingClientRect().top;
        const away = series.map((each, index) => {
          const found = faded?.has(index) ? null : valueAt(each, step);
          return found?.[1] != null && Number.isFinite(found[1]) ? Math.abs(drawn.py(found[1]) - high) : Infinity;
        });
        const least = Math.min(...away);
        setNear(least < 24 ? away.indexOf(least) : null);
      }
    }
  };
  const leave = () => {
    setAt(null);
    setKeyed(false);
    setNear(null);
  };
  const read = at === null ? [] : series.map(each => valueAt(each, at));
  const told = !many ? series.map((_, index) => index) : near !== null ? [near] : keyed ? ends(read, faded) : [];

  return (
    <figure className="mlrun-Chart" aria-label={title}>
      <figcaption>
        <span className="mlrun-Chart-title" title={title}>
          {title}
        </span>
        <span className="mlrun-Chart-switches">
          {canLog && (
            <button type="button" className="mlrun-Switch" aria-pressed={log} onClick={() => setLog(!log)}>
              {trans.__('log')}
            </button>
          )}
          <button type="button" className="mlrun-Switch" aria-pressed={table} onClick={() => setTable(!table)}>
            {trans.__('table')}
          </button>
        </span>
      </figcaption>
      <div ref={node} className="mlrun-Chart-body" style={{ minHeight: height }}>
        {table ? (
          <Table series={series} label={label} height={height} />
        ) : !values.plain ? (
          <div className="mlrun-Chart-empty">{trans.__('There are no numbers to draw.')}</div>
        ) : (
          drawn && (
            <svg
              width={width}
              height={height}
              tabIndex={0}
              role="img"
              aria-label={trans.__(
                '%1: %2 points from %3 to %4. Arrow keys read them.',
                title,
                count,
                tickText(values.plain[0]),
                tickText(values.plain[1])
              )}
              onKeyDown={move}
              onPointerMove={point}
              onPointerLeave={leave}
              onBlur={leave}
            >
              <Axes drawn={drawn} width={width} height={height} label={label} />
              {drawn.paths.map((path, index) => (
                <path
                  key={index}
                  d={path.line}
                  className="mlrun-Chart-line"
                  {...strokeOf(index)}
                  data-faded={!!faded?.has(index) || (near !== null && near !== index)}
                />
              ))}
              {near !== null && drawn.paths[near] && (
                <path d={drawn.paths[near].line} className="mlrun-Chart-line mlrun-mod-near" {...strokeOf(near)} />
              )}
              {drawn.paths.map((path, index) =>
                path.dots.map(([x, y], dot) => (
                  <circle key={`${index}-${dot}`} cx={x} cy={y} r={2.5} style={{ fill: strokeOf(index).stroke }} />
                ))
              )}
              {at !== null && (
                <line
                  className="mlrun-Chart-rule"
                  x1={drawn.px(at)}
                  x2={drawn.px(at)}
                  y1={EDGE.top}
                  y2={height - EDGE.bottom}
                />
              )}
              {read.map(
                (each, index) =>
                  told.includes(index) &&
                  each?.[1] != null &&
                  Number.isFinite(each[1]) && (
                    <circle
                      key={index}
                      cx={drawn.px(each[0])}
                      cy={drawn.py(each[1])}
                      r={3.5}
                      className="mlrun-Chart-dot"
                      style={{ fill: strokeOf(index).stroke }}
                    />
                  )
              )}
            </svg>
          )
        )}
      </div>
      {!table && (
        <div className="mlrun-Chart-legend" aria-live="polite">
          {at !== null && <span className="mlrun-Chart-at">{`${label} ${tickText(at)}`}</span>}
          {many && at === null && <span>{trans.__('%1 curves; point at one to see which it is.', series.length)}</span>}
          {(series.length > 1 || at !== null) &&
            told
              .map(index => [series[index], index] as const)
              .map(([each, index]) => (
                <span key={index} className="mlrun-Chart-key" title={each.name}>
                  <svg width="18" height="8" aria-hidden="true">
                    <line x1="0" x2="18" y1="4" y2="4" strokeWidth="2" {...strokeOf(index)} />
                  </svg>
                  <span className="mlrun-Chart-name">{each.name}</span>
                  {at !== null && <b>{read[index] ? (read[index]![1] === null ? '–' : shown(read[index]![1])) : ''}</b>}
                </span>
              ))}
        </div>
      )}
    </figure>
  );
});

/** The places of the lowest and the highest value. */
function ends(read: readonly (XY | null)[], faded?: ReadonlySet<number>): number[] {
  const known = read.flatMap((each, index) =>
    !faded?.has(index) && each?.[1] != null && Number.isFinite(each[1]) ? [index] : []
  );
  const by = known.sort((one, other) => read[one]![1]! - read[other]![1]!);
  return by.length > 1 ? [by[0], by[by.length - 1]] : by;
}

interface IDrawn {
  x: IScale;
  y: IScale;
  left: number;
  inner: number;
  px(x: number): number;
  py(y: number): number;
  paths: { line: string; dots: [number, number][] }[];
}

/** Everything of the picture that has a place. */
function draw(series: readonly ISeries[], width: number, height: number, log: boolean): IDrawn | null {
  const plotted = (y: number) => Number.isFinite(y) && (!log || y > 0);
  const xs = extent(
    series.flatMap(each => (each.points.length ? [each.points[0][0], each.points[each.points.length - 1][0]] : [])),
    Number.isFinite
  );
  let ys: [number, number] | null = null;
  for (const each of series) {
    const found = extent(
      each.points.map(point => point[1]),
      plotted
    );
    ys = found && ys ? [Math.min(ys[0], found[0]), Math.max(ys[1], found[1])] : (found ?? ys);
  }
  if (!xs || !ys) {
    return null;
  }
  const down = Math.max(2, Math.floor(height / 45));
  const y = log ? logarithmic(ys[0], ys[1], down) : linear(...padded(ys), down);
  const left = 12 + 6.6 * Math.max(...y.ticks.map(tick => tickText(tick).length), 2);
  const inner = Math.max(40, width - left - EDGE.right);
  const whole = series.every(each => each.points.every(point => Number.isInteger(point[0])));
  const x = linear(xs[0], xs[1], Math.max(2, Math.floor(inner / 70)), whole);
  const px = (value: number) => left + x.place(value) * inner;
  const py = (value: number) => height - EDGE.bottom - y.place(value) * (height - EDGE.top - EDGE.bottom);
  const paths = series.map(each => {
    const dots: [number, number][] = [];
    const line = pieces(each.points, plotted)
      .map(piece => {
        if (piece.length === 1) {
          dots.push([px(piece[0][0]), py(piece[0][1])]);
        }
        return thin(piece, Math.ceil(inner))
          .map(([a, b], index) => `${index ? 'L' : 'M'}${px(a).toFixed(1)} ${py(b).toFixed(1)}`)
          .join('');
      })
      .join('');
    return { line, dots };
  });
  return { x, y, left, inner, px, py, paths };
}

/** A little room above and below, so that no curve lies on the frame. */
function padded([low, high]: [number, number]): [number, number] {
  const room = (high - low) * 0.05;
  return [low >= 0 && low - room < 0 ? 0 : low - room, high + room];
}

function Axes({ drawn, width, height, label }: { drawn: IDrawn; width: number; height: number; label: string }) {
  const base = height - EDGE.bottom;
  const last = drawn.x.ticks[drawn.x.ticks.length - 1];
  return (
    <g aria-hidden="true">
      {drawn.y.ticks.map(tick => (
        <g key={tick}>
          <line
            className="mlrun-Chart-grid"
            x1={drawn.left}
            x2={width - EDGE.right}
            y1={drawn.py(tick)}
            y2={drawn.py(tick)}
          />
          <text className="mlrun-Chart-tick" x={drawn.left - 6} y={drawn.py(tick) + 4} textAnchor="end">
            {tickText(tick)}
          </text>
        </g>
      ))}
      <line className="mlrun-Chart-axis" x1={drawn.left} x2={width - EDGE.right} y1={base} y2={base} />
      {drawn.x.ticks.map(tick => (
        <g key={tick}>
          <line className="mlrun-Chart-axis" x1={drawn.px(tick)} x2={drawn.px(tick)} y1={base} y2={base + 4} />
          <text
            className="mlrun-Chart-tick"
            x={drawn.px(tick)}
            y={base + 17}
            textAnchor={drawn.px(tick) > width - 30 ? 'end' : 'middle'}
          >
            {tickText(tick)}
          </text>
        </g>
      ))}
      {last !== undefined && drawn.px(last) < width - EDGE.right - 60 && (
        <text className="mlrun-Chart-tick" x={width - EDGE.right} y={base + 17} textAnchor="end">
          {label}
        </text>
      )}
    </g>
  );
}

function distinct(series: readonly ISeries[]): number[] {
  return [...new Set(series.flatMap(each => each.points.map(point => point[0])))].sort((a, b) => a - b);
}

function closest(series: readonly ISeries[], x: number): number | null {
  let best: number | null = null;
  for (const each of series) {
    const index = nearest(each.points, x);
    if (index >= 0 && (best === null || Math.abs(each.points[index][0] - x) < Math.abs(best - x))) {
      best = each.points[index][0];
    }
  }
  return best;
}

function valueAt(series: ISeries, x: number) {
  const index = nearest(series.points, x);
  return index >= 0 && series.points[index][0] === x ? series.points[index] : null;
}

function Table({ series, label, height }: { series: readonly ISeries[]; label: string; height: number }) {
  const trans = useTrans();
  const xs = distinct(series);
  const kept = xs.slice(-ROWS);
  const by = series.map(each => new Map(each.points));
  return (
    <div
      className="mlrun-Chart-table"
      style={{ maxHeight: height }}
      tabIndex={0}
      role="region"
      aria-label={trans.__('Table')}
    >
      <table>
        <thead>
          <tr>
            <th scope="col">{label}</th>
            {series.map(each => (
              <th key={each.name} scope="col">
                {each.name}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {kept.map(x => (
            <tr key={x}>
              <th scope="row">{tickText(x)}</th>
              {by.map((each, index) => (
                <td key={index}>{each.has(x) ? (each.get(x) === null ? 'NaN' : shown(each.get(x))) : ''}</td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
      {kept.length < xs.length && (
        <p className="mlrun-Dim">{trans.__('The last %1 of %2 steps.', kept.length, xs.length)}</p>
      )}
    </div>
  );
}
