import { expect, test } from 'vitest';
import { matcher, queryOf, sought } from '../src/panel/filter';

const now = Date.parse('2026-01-02T00:00:00Z');
const item = (name: string, more = {}) => ({ name, labels: {}, created: '2026-01-01T23:30:00Z', ...more });

test('words with a sign of equality are labels, the others a part of the name', () => {
  expect(sought('  train  team=a gbm =x ')).toEqual({ name: 'train gbm', labels: ['team=a'] });
});

test('the server is asked for what was typed', () => {
  expect(queryOf({ text: 'tra team=a', state: 'error', within: 3600 }, now)).toEqual({
    name: '~tra',
    label: ['team=a'],
    state: 'error',
    since: '2026-01-01T23:00:00.000Z'
  });
  expect(Object.values(queryOf({ text: ' ' })).filter(Boolean)).toEqual([]);
});

test('what the stream tells is held against the same conditions', () => {
  const fits = matcher({ text: 'TRA team=a', within: 3600 }, (each: ReturnType<typeof item>) => each.name, now);
  expect(fits(item('my-train', { labels: { team: 'a' } }))).toBe(true);
  expect(fits(item('my-train', { labels: { team: 'b' } }))).toBe(false);
  expect(fits(item('score', { labels: { team: 'a' } }))).toBe(false);
  expect(fits(item('train', { labels: { team: 'a' }, created: '2026-01-01T22:00:00Z' }))).toBe(false);
});
