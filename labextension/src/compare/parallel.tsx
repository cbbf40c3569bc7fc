/** Parallel coordinates: one line a run, across the axes of what differs; a part of an axis chooses the runs that go through it. */
import { KeyboardEvent, PointerEvent, useRef, useState } from 'react';
import { RunSummary } from '../api/types';
import { strokeOf } from '../charts/chart';
import { useTrans } from '../parts';
import { Button } from '../views/pieces';
import { IAxis, Range, axisKey, firstAxes } from './axes';

const GAP = 130;
const HIGH = 200;
const EDGE = { top: 30, bottom: 14, side: 60 };
const LETTERS = 16;
/** From so many runs on, lines are thin and without dashes: which is which is told by pointing at one. */
const MANY = 16;

const short = (text: string) => (text.length > LETTERS ? `${text.slice(0, LETTERS - 1)}…` : text);
const y = (at: number) => EDGE.top + (1 - at) * HIGH;

interface IParallel {
  axes: IAxis[];
  runs: readonly RunSummary[];
  ranges: ReadonlyMap<string, Range>;
  /** The runs in all ranges; null while nothing is chosen. */
  chosen: ReadonlySet<number> | null;
  choose(ranges: ReadonlyMap<string, Range>): void;
  open(uid: string): void;
  /** Leaves all other runs out. */
  keep?(uids: string[]): void;
}

export function Parallel({ axes, runs, ranges, chosen, choose, open, keep }: IParallel) {
  const trans = useTrans();
  const [lit, setLit] = useState<number | null>(null);
  const [wanted, setWanted] = useState<ReadonlySet<string>>(() => firstAxes(axes));
  const drawn = axes.filter(axis => wanted.has(axisKey(axis)));
  const x = (index: number) => EDGE.side + index * GAP;
  const width = 2 * EDGE.side + Math.max(0, drawn.length - 1) * GAP;
  const set = (axis: IAxis, range: Range | null) => {
    const next = new Map(ranges);
    if (range) {
      next.set(axisKey(axis), range);
    } else {
      next.delete(axisKey(axis));
    }
    choose(next);
  };
  const order = runs.map((_, at) => at);
  if (lit !== null) {
    // the one that is pointed at lies above the others
    order.push(...order.splice(lit, 1));
  }
  return (
    <>
      <div className="mlrun-Parallel-bar">
        <span className="mlrun-Dim" role="status">
          {chosen
            ? trans.__('%1 of %2 runs are chosen.', chosen.size, runs.length)
            : trans.__('Draw along an axis to choose the runs that go through there.')}
        </span>
        {chosen && keep && chosen.size > 1 && chosen.size < runs.length && (
          <Button look="minimal" onClick={() => keep([...chosen].map(at => runs[at].uid))}>
            {trans.__('Compare only these')}
          </Button>
        )}
        {chosen && (
          <Button look="minimal" onClick={() => choose(new Map())}>
            {trans.__('Choose all')}
          </Button>
        )}
        <Wanted axes={axes} wanted={wanted} set={setWanted} />
      </div>
      <div
        className="mlrun-Scroll mlrun-Parallel"
        tabIndex={0}
        role="region"
        aria-label={trans.__('Parallel coordinates')}
        data-many={runs.length >= MANY}
      >
        <svg
          width={width}
          height={EDGE.top + HIGH + EDGE.bottom}
          role="group"
          aria-label={trans.__('Parallel coordinates')}
        >
          {drawn.map((axis, index) => (
            <g key={axisKey(axis)}>
              <line x1={x(index)} x2={x(index)} y1={y(1)} y2={y(0)} className="mlrun-Parallel-axis" />
              <text x={x(index)} y={14} textAnchor="middle" className="mlrun-Parallel-name">
                <title>{`${axis.section}: ${axis.name}`}</title>
                {short(axis.name)}
                {axis.log && <tspan className="mlrun-Parallel-tick">{` ${trans.__('log')}`}</tspan>}
              </text>
            </g>
          ))}
          {order.map(at => (
            <Line
              key={runs[at].uid}
              run={runs[at]}
              path={pathOf(drawn, at, x)}
              stroke={strokeOf(at)}
              state={lit === at ? 'lit' : (chosen && !chosen.has(at)) || (lit !== null && !chosen) ? 'dim' : ''}
              light={on => setLit(on ? at : null)}
              open={open}
            />
          ))}
          {drawn.map((axis, index) => (
            <g key={axisKey(axis)}>
              {axis.ticks.map(tick => (
                <text
                  key={tick.text}
                  x={x(index) + 5}
                  y={y(tick.at) + (tick.at === 1 ? -2 : 11)}
                  className="mlrun-Parallel-tick"
                >
                  <title>{tick.text}</title>
                  {short(tick.text)}
                </text>
              ))}
              <Brush
                axis={axis}
                x={x(index)}
                range={ranges.get(axisKey(axis)) ?? null}
                set={range => set(axis, range)}
              />
            </g>
          ))}
        </svg>
      </div>
    </>
  );
}

/** A gap where the run has no such value. */
function pathOf(axes: readonly IAxis[], run: number, x: (index: number) => number): string {
  const parts: string[] = [];
  let pen = 'M';
  axes.forEach((axis, index) => {
    const place = axis.at[run];
    if (place === null || place === undefined) {
      pen = 'M';
    } else {
      parts.push(`${pen}${x(index)},${y(place).toFixed(1)}`);
      pen = 'L';
    }
  });
  return parts.join(' ');
}

interface ILine {
  run: RunSummary;
  path: string;
  stroke: { stroke: string; strokeDasharray?: string };
  state: '' | 'lit' | 'dim';
  light(on: boolean): void;
  open(uid: string): void;
}

function Line({ run, path, stroke, state, light, open }: ILine) {
  const trans = useTrans();
  return (
    <path
      d={path}
      {...stroke}
      className="mlrun-Parallel-line"
      data-state={state}
      role="button"
      tabIndex={0}
      aria-label={trans.__('Open the run %1 %2', run.name, run.uid.slice(0, 8))}
      onPointerEnter={() => light(true)}
      onPointerLeave={() => light(false)}
      onFocus={() => light(true)}
      onBlur={() => light(false)}
      onClick={() => open(run.uid)}
      onKeyDown={event => {
        if (event.key === 'Enter' || event.key === ' ') {
          event.preventDefault();
          open(run.uid);
        }
      }}
    >
      <title>{`${run.name} ${run.uid.slice(0, 8)}…${run.uid.slice(-4)}`}</title>
    </path>
  );
}

interface IBrush {
  axis: IAxis;
  x: number;
  range: Range | null;
  set(range: Range | null): void;
}

/** What is chosen of an axis: drawn with the pointer, or halved with the arrow keys. */
function Brush({ axis, x, range, set }: IBrush) {
  const trans = useTrans();
  const from = useRef<number | null>(null);
  const place = (event: PointerEvent<SVGRectElement>) => {
    const box = event.currentTarget.ownerSVGElement!.getBoundingClientRect();
    return Math.max(0, Math.min(1, 1 - (event.clientY - box.top - EDGE.top) / HIGH));
  };
  const key = (event: KeyboardEvent) => {
    const [low, high] = range ?? [0, 1];
    const middle = (low + high) / 2;
    if (event.key === 'ArrowUp') {
      set([middle, high]);
    } else if (event.key === 'ArrowDown') {
      set([low, middle]);
    } else if (event.key === 'Escape' && range) {
      set(null);
    } else {
      return;
    }
    event.preventDefault();
    event.stopPropagation();
  };
  const percent = (at: number) => Math.round(100 * at);
  return (
    <>
      {range && (
        <rect
          className="mlrun-Parallel-range"
          x={x - 6}
          width={12}
          y={y(range[1])}
          height={Math.max(2, y(range[0]) - y(range[1]))}
        />
      )}
      <rect
        className="mlrun-Parallel-brush"
        x={x - 10}
        width={20}
        y={y(1) - 4}
        height={HIGH + 8}
        tabIndex={0}
        role="slider"
        aria-orientation="vertical"
        aria-label={trans.__('%1: arrow keys choose the upper or lower half, Escape all', axis.name)}
        aria-valuemin={0}
        aria-valuemax={100}
        aria-valuenow={percent(range ? (range[0] + range[1]) / 2 : 0.5)}
        aria-valuetext={
          range ? trans.__('from %1 to %2 percent of the axis', percent(range[0]), percent(range[1])) : trans.__('all')
        }
        onKeyDown={key}
        onPointerDown={event => {
          event.currentTarget.setPointerCapture(event.pointerId);
          from.current = place(event);
        }}
        onPointerMove={event => {
          if (from.current !== null) {
            const to = place(event);
            if (Math.abs(to - from.current) > 0.02) {
              set([Math.min(from.current, to), Math.max(from.current, to)]);
            }
          }
        }}
        onPointerUp={event => {
          // a click without a way gives all back
          if (from.current !== null && Math.abs(place(event) - from.current) <= 0.02) {
            set(null);
          }
          from.current = null;
        }}
      />
    </>
  );
}

function Wanted({ axes, wanted, set }: { axes: IAxis[]; wanted: ReadonlySet<string>; set(to: Set<string>): void }) {
  const trans = useTrans();
  return (
    <details className="mlrun-Parallel-wanted">
      <summary>
        {trans.__('Axes: %1 of %2', axes.filter(axis => wanted.has(axisKey(axis))).length, axes.length)}
      </summary>
      <div role="group" aria-label={trans.__('Axes')}>
        {axes.map(axis => (
          <label key={axisKey(axis)} title={`${axis.section}: ${axis.name}`}>
            <input
              type="checkbox"
              checked={wanted.has(axisKey(axis))}
              onChange={event => {
                const next = new Set(wanted);
                if (event.target.checked) {
                  next.add(axisKey(axis));
                } else {
                  next.delete(axisKey(axis));
                }
                set(next);
              }}
            />
            <span>{axis.name}</span>
          </label>
        ))}
      </div>
    </details>
  );
}
