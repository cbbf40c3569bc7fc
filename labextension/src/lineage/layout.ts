/** Where the nodes of a lineage graph stand: in columns from what came first to what came of it, with few crossings. */
import { Graph } from '../api/types';

export interface IPlaced {
  id: string;
  column: number;
  row: number;
}

export interface ILayout {
  places: Map<string, IPlaced>;
  columns: number;
  rows: number;
}

/** Each node stands right of all that it came of; rows are chosen by the mean of the neighbours', a few times over. */
export function layout(graph: Pick<Graph, 'nodes' | 'edges'>): ILayout {
  const ids = graph.nodes.map(node => node.id);
  const known = new Set(ids);
  const edges = graph.edges.filter(edge => known.has(edge.from) && known.has(edge.to) && edge.from !== edge.to);
  const before = new Map<string, string[]>(ids.map(id => [id, []]));
  const after = new Map<string, string[]>(ids.map(id => [id, []]));
  for (const edge of edges) {
    before.get(edge.to)!.push(edge.from);
    after.get(edge.from)!.push(edge.to);
  }
  const column = new Map<string, number>();
  const visiting = new Set<string>();
  const depth = (id: string): number => {
    const found = column.get(id);
    if (found !== undefined) {
      return found;
    }
    // a circle cannot be; should one come all the same, it is cut here
    if (visiting.has(id)) {
      return 0;
    }
    visiting.add(id);
    const at = Math.max(-1, ...before.get(id)!.map(depth)) + 1;
    visiting.delete(id);
    column.set(id, at);
    return at;
  };
  ids.forEach(depth);
  // what nothing leads to stands right before what came of it, not far off at the left
  for (const id of ids) {
    const next = after.get(id)!.map(each => column.get(each)!);
    if (!before.get(id)!.length && next.length) {
      column.set(id, Math.min(...next) - 1);
    }
  }
  const left = Math.min(0, ...column.values());
  const columns: string[][] = [];
  for (const id of ids) {
    const at = column.get(id)! - left;
    (columns[at] ??= []).push(id);
  }
  const filled = columns.filter(each => each?.length);
  const row = new Map<string, number>();
  filled.forEach(each => each.forEach((id, at) => row.set(id, at)));
  const mean = (id: string, of: Map<string, string[]>) => {
    const near = of.get(id)!.map(each => row.get(each)!);
    return near.length ? near.reduce((sum, each) => sum + each, 0) / near.length : row.get(id)!;
  };
  for (let round = 0; round < 4; round++) {
    const sweep = round % 2 ? [...filled].reverse() : filled;
    for (const each of sweep) {
      const want = new Map(each.map(id => [id, mean(id, round % 2 ? after : before)]));
      each.sort((one, other) => want.get(one)! - want.get(other)!);
      each.forEach((id, at) => row.set(id, at));
    }
  }
  const rows = Math.max(0, ...filled.map(each => each.length));
  const places = new Map<string, IPlaced>();
  filled.forEach((each, at) => {
    const shift = (rows - each.length) / 2;
    each.forEach((id, index) => places.set(id, { id, column: at, row: index + shift }));
  });
  return { places, columns: filled.length, rows };
}
