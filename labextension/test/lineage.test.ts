import { expect, test } from 'vitest';
import { layout } from '../src/lineage/layout';

const node = (id: string) => ({ id, kind: 'run' as const, title: id, uri: id, state: '' });
const graph = (ids: string, ...edges: string[]) => ({
  nodes: [...ids].map(node),
  edges: edges.map(([from, to]) => ({ from, to }))
});

test('what came of a thing stands right of it', () => {
  const { places, columns } = layout(graph('abc', 'ab', 'bc', 'ac'));
  expect([...'abc'].map(id => places.get(id)!.column)).toEqual([0, 1, 2]);
  expect(columns).toBe(3);
});

test('no two nodes stand on one place, whatever leads where', () => {
  const { places } = layout(graph('abcdefg', 'ae', 'be', 'ce', 'ef', 'eg', 'af'));
  const seen = new Set([...places.values()].map(each => `${each.column} ${each.row}`));
  expect(seen.size).toBe(7);
});

test('a source that comes in late stands right before what it led to', () => {
  const { places } = layout(graph('abcx', 'ab', 'bc', 'xc'));
  expect(places.get('x')!.column).toBe(1);
});

test('edges that cross are uncrossed', () => {
  const { places } = layout(graph('abcd', 'ad', 'bc'));
  const row = (id: string) => places.get(id)!.row;
  expect(Math.sign(row('a') - row('b'))).toBe(Math.sign(row('d') - row('c')));
});

test('a circle and edges to nowhere do not break it', () => {
  const { places } = layout(graph('ab', 'ab', 'ba', 'az'));
  expect(places.size).toBe(2);
});
