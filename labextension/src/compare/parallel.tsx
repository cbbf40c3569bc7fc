/** Parallel coordinates: one line a run, across the axes of what differs. */
import { useState } from 'react';
import { RunSummary } from '../api/types';
import { strokeOf } from '../charts/chart';
import { useTrans } from '../parts';
import { IAxis } from './axes';

const GAP = 130;
const HIGH = 200;
const EDGE = { top: 30, bottom: 14, side: 60 };
const LETTERS = 16;

const short = (text: string) => (text.length > LETTERS ? `${text.slice(0, LETTERS - 1)}…` : text);

export function Parallel({
  axes,
  runs,
  open
}: {
  axes: IAxis[];
  runs: readonly RunSummary[];
  open(uid: string): void;
}) {
  const trans = useTrans();
  const [lit, setLit] = useState<number | null>(null);
  const x = (index: number) => EDGE.side + index * GAP;
  const y = (at: number) => EDGE.top + (1 - at) * HIGH;
  const width = 2 * EDGE.side + (axes.length - 1) * GAP;
  return (
    <div
      className="mlrun-Scroll mlrun-Parallel"
      tabIndex={0}
      role="region"
      aria-label={trans.__('Parallel coordinates')}
    >
      <svg
        width={width}
        height={EDGE.top + HIGH + EDGE.bottom}
        role="group"
        aria-label={trans.__('Parallel coordinates')}
      >
        {axes.map((axis, index) => (
          <g key={`${axis.section} ${axis.name}`}>
            <line x1={x(index)} x2={x(index)} y1={y(1)} y2={y(0)} className="mlrun-Parallel-axis" />
            <text x={x(index)} y={14} textAnchor="middle" className="mlrun-Parallel-name">
              <title>{`${axis.section}: ${axis.name}`}</title>
              {short(axis.name)}
            </text>
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
          </g>
        ))}
        {runs.map((run, at) => {
          // a gap where a run has no such value
          const parts: string[] = [];
          let pen = 'M';
          axes.forEach((axis, index) => {
            const place = axis.at[at];
            if (place === null || place === undefined) {
              pen = 'M';
            } else {
              parts.push(`${pen}${x(index)},${y(place)}`);
              pen = 'L';
            }
          });
          return (
            <path
              key={run.uid}
              d={parts.join(' ')}
              {...strokeOf(at)}
              className="mlrun-Parallel-line"
              data-lit={lit === at}
              data-dim={lit !== null && lit !== at}
              role="button"
              tabIndex={0}
              aria-label={trans.__('Open the run %1 %2', run.name, run.uid.slice(0, 8))}
              onPointerEnter={() => setLit(at)}
              onPointerLeave={() => setLit(null)}
              onFocus={() => setLit(at)}
              onBlur={() => setLit(null)}
              onClick={() => open(run.uid)}
              onKeyDown={event => {
                if (event.key === 'Enter' || event.key === ' ') {
                  event.preventDefault();
                  open(run.uid);
                }
              }}
            >
              <title>{`${run.name} ${run.uid.slice(0, 8)}`}</title>
            </path>
          );
        })}
      </svg>
    </div>
  );
}
