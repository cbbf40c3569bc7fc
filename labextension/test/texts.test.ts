import { expect, test } from 'vitest';
import { eventParser, queryOf } from '../src/api/client';
import { Event } from '../src/api/types';
import { bytes, duration, plain, value } from '../src/format';
import { Log } from '../src/run/log';
import { rowsInSight } from '../src/parts';

test('events are read however they are cut', () => {
  const stream = ': alive\nid: 4\nevent: run\ndata: {"uid":\ndata: "a"}\n\nid: 5\ndata: 1\n\n';
  for (let cut = 0; cut <= stream.length; cut++) {
    const seen: Event[] = [];
    const parse = eventParser(event => seen.push(event));
    parse(stream.slice(0, cut));
    parse(stream.slice(cut));
    expect(seen).toEqual([
      { id: '4', event: 'run', data: { uid: 'a' } },
      { id: '5', event: 'message', data: 1 }
    ]);
  }
});

test('a query leaves out what is not given and repeats lists', () => {
  expect(queryOf({ state: ['a', 'b'], name: '', limit: 5, after: undefined })).toBe('?state=a&state=b&limit=5');
});

test('durations, sizes and values are short', () => {
  expect([0.83, 42, 185, 7800, 7199].map(duration)).toEqual(['0.8 s', '42 s', '3 min 5 s', '2 h 10 min', '2 h 0 min']);
  expect(duration(null)).toBe('');
  expect([12, 1500, 123_456_789].map(bytes)).toEqual(['12 B', '1.5 kB', '123 MB']);
  expect([0.912345, 7, 'x', [1, 2]].map(value)).toEqual(['0.9123', '7', 'x', '[1,2]']);
});

test('a log shows each entry once, and only the last attempt', () => {
  const log = new Log();
  log.add([{ n: 0, t: 0, cell: 0, type: 'stream', text: 'old\n' }]);
  log.add([
    { n: 1, t: 0, cell: -1, type: 'attempt' },
    { n: 2, t: 0, cell: 0, type: 'stream', text: 'a\n' }
  ]);
  log.add([
    { n: 2, t: 0, cell: 0, type: 'stream', text: 'a\n' },
    { n: 3, t: 0, cell: 0, type: 'note', text: 'b' }
  ]);
  expect(log.text).toBe('a\n[mlrun] b\n');
});

test('a line drawn over itself shows what was last, in no colour', () => {
  expect(plain('10%\r50%\r\u001b[32m100%\u001b[0m\ndone\r\n')).toBe('100%\ndone\n');
});

test('of ten thousand rows only those in sight are drawn', () => {
  expect(rowsInSight(44 * 5000, 440, 44, 10_000)).toEqual([4995, 5015]);
  expect(rowsInSight(0, 440, 44, 3)).toEqual([0, 3]);
});
