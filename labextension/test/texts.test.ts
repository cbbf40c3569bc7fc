import { expect, test } from 'vitest';
import { eventParser, queryOf } from '../src/api/client';
import { Event } from '../src/api/types';
import { bytes, coloursAfter, duration, progressOf, terminal, value } from '../src/format';
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

test('a line drawn over itself shows what was last, in its colour', () => {
  expect(terminal('10%\r50%\r\u001b[32m100%\u001b[0m\u001b[K\ndone\r\n')).toBe('\u001b[32m100%\u001b[0m\ndone\n');
  expect(terminal('\u001b]0;title\u0007a\u001b[2Jb\u001b[?25lc')).toBe('abc');
});

test('colours go on over the end of a block of lines', () => {
  expect(coloursAfter('\u001b[31mred\n\u001b[1mbold')).toBe('\u001b[31m\u001b[1m');
  expect(coloursAfter('\u001b[31mred\u001b[0m')).toBe('');
  const log = new Log();
  const lines = Array.from({ length: 450 }, (_, at) => `${at ? '' : '\u001b[31m'}line ${at}\n`);
  lines.forEach((text, n) => log.add([{ n, t: 0, cell: 0, type: 'stream', text }]));
  const [first, second, third] = log.blocks;
  expect([first, second, third].map(each => each.text.split('\n').length - 1)).toEqual([200, 200, 50]);
  expect(third.text.startsWith('\u001b[31mline 400')).toBe(true);
  // what is finished is not made anew
  log.add([{ n: 450, t: 0, cell: 0, type: 'stream', text: 'more' }]);
  expect(log.blocks[0]).toBe(first);
  expect(log.blocks[2].id).toBe(third.id);
});

test('a long progress bar leaves nothing but its last state', () => {
  const log = new Log();
  let text = '';
  for (let n = 0; n < 5000; n++) {
    text = `\r${String(n).padStart(4)} |${'#'.repeat(n / 100)}${' '.repeat(50 - n / 100)}| \u001b[32m${n}/5000\u001b[0m`;
    // what is written in two goes is drawn as in one
    const half = n % text.length;
    log.add([
      { n: 2 * n, t: 0, cell: 0, type: 'stream', text: text.slice(0, half) },
      { n: 2 * n + 1, t: 0, cell: 0, type: 'stream', text: text.slice(half) }
    ]);
  }
  expect(log.blocks.length).toBe(1);
  expect(log.text).toBe(text.slice(1));
  log.add([{ n: 10_000, t: 0, cell: 0, type: 'stream', text: '\r\ndone\n' }]);
  expect(log.text).toBe(`${text.slice(1)}\ndone\n`);
  expect(log.cut).toBe(false);
});

test('of a very long log the end is kept, and it says so', () => {
  const log = new Log();
  log.add(
    Array.from({ length: 30 }, (_, n) => ({
      n,
      t: 0,
      cell: 0,
      type: 'stream' as const,
      text: `${n}${'x'.repeat(49_999)}`
    }))
  );
  expect(log.cut).toBe(true);
  expect(log.text.length).toBeLessThan(1_200_000);
  expect(log.text.endsWith('x')).toBe(true);
});

test('the cell that runs is not done', () => {
  expect(progressOf({ progress: { cell: 2, of: 4, text: '' }, is_sweep: false })).toEqual({
    done: 1,
    of: 4,
    text: '2 / 4'
  });
  expect(progressOf({ progress: { cell: 2, of: 4, text: '2 of 4' }, is_sweep: true }).done).toBe(2);
});

test('of ten thousand rows only those in sight are drawn', () => {
  expect(rowsInSight(44 * 5000, 440, 44, 10_000)).toEqual([4995, 5015]);
  expect(rowsInSight(0, 440, 44, 3)).toEqual([0, 3]);
});
