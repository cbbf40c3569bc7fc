/** The lineage of a run: what it came of at the left, what came of it at the right. */
import { useLayoutEffect, useMemo, useRef } from 'react';
import { IClient } from '../api/client';
import { Graph, GraphNode } from '../api/types';
import { useTrans } from '../parts';
import { Loaded, useLoad } from '../views/pieces';
import { layout } from './layout';

const WIDE = 190;
const HIGH = 40;
const ACROSS = 56;
const DOWN = 14;
const LETTERS = 24;

/** What shows what a graph names. */
export interface IOpens {
  openRun(uid: string): void;
  openFunction(uri: string): void;
  /** An artifact, or a feature set or vector. */
  openStored(uri: string): void;
}

export function openNode(opens: IOpens, node: GraphNode): void {
  if (node.kind === 'run') {
    opens.openRun(node.id);
  } else if (node.kind === 'function') {
    opens.openFunction(node.uri);
  } else if (node.uri.startsWith('store://')) {
    // a file that was read has no record to show
    opens.openStored(node.uri);
  }
}

interface ILineage {
  client: IClient;
  /** Of the run, or the URI of the features, that stand in the middle. */
  uid: string;
  /** Where it is read; else that of the run. */
  path?: string;
  /** Read again when this changes. */
  turn: unknown;
  open(node: GraphNode): void;
}

export function Lineage({ client, uid, path, turn, open }: ILineage) {
  const from = path ?? `runs/${uid}/lineage`;
  const loaded = useLoad(() => client.get<Graph>(from), [from], turn);
  return <Loaded of={loaded} draw={graph => <Drawing graph={graph} uid={uid} open={open} />} />;
}

function Drawing({ graph, uid, open }: { graph: Graph; uid: string; open(node: GraphNode): void }) {
  const trans = useTrans();
  const { places, columns, rows } = useMemo(() => layout(graph), [graph]);
  const kinds: Record<string, string> = {
    run: trans.__('run'),
    artifact: trans.__('artifact'),
    function: trans.__('function'),
    'feature-set': trans.__('feature set'),
    'feature-vector': trans.__('feature vector')
  };
  const x = (id: string) => places.get(id)!.column * (WIDE + ACROSS) + 2;
  const y = (id: string) => places.get(id)!.row * (HIGH + DOWN) + 2;
  const width = columns * (WIDE + ACROSS) - ACROSS + 4;
  const height = rows * (HIGH + DOWN) - DOWN + 4;
  const node = useRef<HTMLDivElement>(null);
  useLayoutEffect(() => {
    if (node.current && places.has(uid)) {
      // the run itself is in sight, whatever is around it
      node.current.scrollTo({
        left: x(uid) - node.current.clientWidth / 2 + WIDE / 2,
        top: y(uid) - node.current.clientHeight / 2
      });
    }
  }, [places, uid]);
  if (graph.nodes.length <= 1) {
    return <p className="mlrun-Empty">{trans.__('It read nothing that is recorded, and nothing came of it.')}</p>;
  }
  return (
    <>
      {!graph.whole && (
        <p className="mlrun-Dim mlrun-Note">{trans.__('The nearest %1 of more.', graph.nodes.length)}</p>
      )}
      <div
        ref={node}
        className="mlrun-Scroll mlrun-Lineage"
        tabIndex={0}
        role="region"
        aria-label={trans.__('Lineage')}
      >
        <svg width={width} height={height} role="group" aria-label={trans.__('Lineage')}>
          <defs>
            <marker id="mlrun-arrow" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">
              <path d="M0,0 L8,4 L0,8 z" className="mlrun-Lineage-arrow" />
            </marker>
          </defs>
          {graph.edges
            .filter(edge => places.has(edge.from) && places.has(edge.to))
            .map(edge => {
              const [x1, y1] = [x(edge.from) + WIDE, y(edge.from) + HIGH / 2];
              const [x2, y2] = [x(edge.to), y(edge.to) + HIGH / 2];
              const bend = Math.max(20, (x2 - x1) / 2);
              return (
                <path
                  key={`${edge.from} ${edge.to}`}
                  className="mlrun-Lineage-edge"
                  markerEnd="url(#mlrun-arrow)"
                  d={`M${x1},${y1} C${x1 + bend},${y1} ${x2 - bend},${y2} ${x2 - 1},${y2}`}
                />
              );
            })}
          {graph.nodes.map(node => {
            const own = node.id === uid;
            const title = node.title.length > LETTERS ? `${node.title.slice(0, LETTERS - 1)}…` : node.title;
            return (
              <g
                key={node.id}
                className="mlrun-Lineage-node"
                data-kind={node.kind}
                data-own={own}
                transform={`translate(${x(node.id)},${y(node.id)})`}
                role="button"
                tabIndex={0}
                aria-label={`${kinds[node.kind] ?? node.kind} ${node.title} ${node.state ?? ''}`.trim()}
                onClick={() => !own && open(node)}
                onKeyDown={event => {
                  if ((event.key === 'Enter' || event.key === ' ') && !own) {
                    event.preventDefault();
                    open(node);
                  }
                }}
              >
                <title>{node.uri}</title>
                <rect width={WIDE} height={HIGH} rx={3} />
                <rect className="mlrun-Lineage-mark" width={4} height={HIGH} />
                <text x={14} y={17} className="mlrun-Lineage-title">
                  {title}
                </text>
                <text x={14} y={32} className="mlrun-Lineage-kind">
                  {own && node.kind === 'run' ? trans.__('this run') : (kinds[node.kind] ?? node.kind)}
                  {node.state && !own ? ` · ${node.state}` : ''}
                </text>
              </g>
            );
          })}
        </svg>
      </div>
    </>
  );
}
