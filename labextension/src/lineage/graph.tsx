/** The lineage of a run as a picture: functions, runs, artifacts, and what led to what. */
import { KeyboardEvent, useMemo, useRef, useState } from 'react';
import { Graph, GraphNode } from '../api/types';
import { useTrans } from '../parts';
import { IPlaced, layout } from './layout';

const WIDE = 168;
const HIGH = 40;
const ACROSS = 56;
const DOWN = 16;
const EDGE = 8;

const left = (node: IPlaced) => EDGE + node.column * (WIDE + ACROSS);
const top = (node: IPlaced) => EDGE + node.row * (HIGH + DOWN);

/** Cut in the middle, where names differ least. */
export function short(text: string, most: number): string {
  return text.length <= most ? text : `${text.slice(0, Math.ceil(most / 2) - 1)}…${text.slice(-Math.floor(most / 2))}`;
}

export function LineageGraph({ graph, here, open }: { graph: Graph; here: string; open(node: GraphNode): void }) {
  const trans = useTrans();
  const placed = useMemo(() => layout(graph), [graph]);
  const svg = useRef<SVGSVGElement>(null);
  const [at, setAt] = useState(here);
  const kinds: Record<string, string> = {
    run: trans.__('run'),
    function: trans.__('function'),
    artifact: trans.__('artifact')
  };
  const byId = new Map(placed.nodes.map(each => [each.id, each]));
  const focus = byId.has(at) ? at : placed.nodes[0]?.id;
  const go = (event: KeyboardEvent, node: IPlaced) => {
    if (event.key === 'Enter' || event.key === ' ') {
      open(node);
    } else {
      const next = neighbour(placed.nodes, node, event.key);
      if (!next) {
        return;
      }
      setAt(next.id);
      svg.current?.querySelector<SVGGElement>(`[data-id="${CSS.escape(next.id)}"]`)?.focus();
    }
    event.preventDefault();
    event.stopPropagation();
  };
  return (
    <div className="mlrun-Lineage">
      <svg
        ref={svg}
        width={2 * EDGE + placed.columns * (WIDE + ACROSS) - ACROSS}
        height={2 * EDGE + placed.rows * (HIGH + DOWN) - DOWN}
        role="group"
        aria-label={trans.__('Lineage; arrow keys go from one to the next')}
      >
        {graph.edges.map(edge => {
          const [from, to] = [byId.get(edge.from), byId.get(edge.to)];
          if (!from || !to) {
            return null;
          }
          const [x, y, u, v] = [left(from) + WIDE, top(from) + HIGH / 2, left(to), top(to) + HIGH / 2];
          const bend = Math.max(24, (u - x) / 2);
          const near = edge.from === here || edge.to === here;
          return (
            <path
              key={`${edge.from}\n${edge.to}`}
              className="mlrun-Lineage-edge"
              data-near={near || undefined}
              d={`M${x} ${y}C${x + bend} ${y} ${u - bend} ${v} ${u} ${v}`}
            />
          );
        })}
        {placed.nodes.map(node => (
          <g
            key={node.id}
            className="mlrun-Lineage-node"
            data-id={node.id}
            data-kind={node.kind}
            data-here={node.id === here || undefined}
            transform={`translate(${left(node)} ${top(node)})`}
            tabIndex={node.id === focus ? 0 : -1}
            role="button"
            aria-label={`${kinds[node.kind] ?? node.kind} ${node.title} ${node.state}`}
            onClick={() => open(node)}
            onFocus={() => setAt(node.id)}
            onKeyDown={event => go(event, node)}
          >
            <title>{`${node.title}\n${node.uri}`}</title>
            <rect width={WIDE} height={HIGH} rx={node.kind === 'artifact' ? 2 : node.kind === 'run' ? 20 : 8} />
            <text x="16" y="17" className="mlrun-Lineage-kind">
              {node.state ? `${kinds[node.kind]} · ${node.state}` : kinds[node.kind]}
            </text>
            <text x="16" y="32">
              {short(node.title, 21)}
            </text>
          </g>
        ))}
      </svg>
    </div>
  );
}

/** The node that an arrow key leads to: the nearest in the column there, or the one above or below. */
export function neighbour(nodes: readonly IPlaced[], from: IPlaced, key: string): IPlaced | undefined {
  const side = { ArrowLeft: -1, ArrowRight: 1 }[key];
  const down = { ArrowUp: -1, ArrowDown: 1 }[key];
  const found = side
    ? nodes.filter(each => each.column === from.column + side)
    : down
      ? nodes.filter(each => each.column === from.column && (each.row - from.row) * down > 0)
      : [];
  return [...found].sort((a, b) => Math.abs(a.row - from.row) - Math.abs(b.row - from.row))[0];
}
