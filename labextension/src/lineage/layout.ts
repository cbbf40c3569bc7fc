/** Where the nodes of a graph are drawn: in columns, each behind all that it came of, with few crossings. No DOM here. */
import { Graph, GraphNode } from '../api/types';

export interface IPlaced extends GraphNode {
  column: number;
  row: number;
}

export interface ILayout {
  nodes: IPlaced[];
  columns: number;
  rows: number;
}

type Links = ReadonlyMap<string, readonly string[]>;

export function layout(graph: Graph): ILayout {
  const ids = new Set(graph.nodes.map(each => each.id));
  const edges = graph.edges.filter(each => ids.has(each.from) && ids.has(each.to) && each.from !== each.to);
  const before = links(edges.map(each => [each.to, each.from]));
  const after = links(edges.map(each => [each.from, each.to]));
  const column = depths(
    graph.nodes.map(each => each.id),
    before
  );
  // what nothing leads to stands directly before what it is needed for
  for (const node of graph.nodes) {
    if (!before.get(node.id)?.length && after.get(node.id)?.length) {
      column.set(node.id, Math.max(0, Math.min(...after.get(node.id)!.map(each => column.get(each)!)) - 1));
    }
  }
  const columns: string[][] = [];
  for (const node of graph.nodes) {
    (columns[column.get(node.id)!] ??= []).push(node.id);
  }
  const found = columns.filter(Boolean);
  settle(found, before, after);
  const rows = Math.max(0, ...found.map(each => each.length));
  const places = new Map<string, [number, number]>();
  found.forEach((some, at) => some.forEach((id, row) => places.set(id, [at, row + (rows - some.length) / 2])));
  const nodes = graph.nodes.map(each => ({ ...each, column: places.get(each.id)![0], row: places.get(each.id)![1] }));
  return { nodes, columns: found.length, rows };
}

function links(pairs: readonly (readonly [string, string])[]): Links {
  const found = new Map<string, string[]>();
  for (const [one, other] of pairs) {
    found.set(one, [...(found.get(one) ?? []), other]);
  }
  return found;
}

/** The longest way to each node; an edge that closes a circle does not count. */
function depths(ids: readonly string[], before: Links): Map<string, number> {
  const found = new Map<string, number>();
  const open = new Set<string>();
  const visit = (id: string): number => {
    const known = found.get(id);
    if (known !== undefined) {
      return known;
    }
    open.add(id);
    let depth = 0;
    for (const each of before.get(id) ?? []) {
      if (!open.has(each)) {
        depth = Math.max(depth, visit(each) + 1);
      }
    }
    open.delete(id);
    found.set(id, depth);
    return depth;
  };
  ids.forEach(visit);
  return found;
}

/** Orders each column by the middle of its neighbours, forth and back a few times. */
function settle(columns: string[][], before: Links, after: Links): void {
  for (let turn = 0; turn < 4; turn++) {
    const rank = new Map<string, number>();
    columns.forEach(some => some.forEach((id, row) => rank.set(id, row - some.length / 2)));
    const neighbours = turn % 2 ? after : before;
    const order = turn % 2 ? [...columns].reverse() : columns;
    for (const some of order) {
      const middle = new Map(
        some.map(id => {
          const all = neighbours.get(id) ?? [];
          return [id, all.length ? all.reduce((sum, each) => sum + rank.get(each)!, 0) / all.length : rank.get(id)!];
        })
      );
      some.sort((a, b) => middle.get(a)! - middle.get(b)!);
      some.forEach((id, row) => rank.set(id, row - some.length / 2));
    }
  }
}
