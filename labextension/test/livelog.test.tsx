import { Signal } from '@lumino/signaling';
import { cleanup, fireEvent, screen, waitFor } from '@testing-library/react';
import { afterEach, expect, test, vi } from 'vitest';
import { ApiError } from '../src/api/client';
import { Entry } from '../src/api/types';
import { Model } from '../src/model';
import { LiveLog } from '../src/run/livelog';
import { drawn } from './lab';

vi.mock('@jupyterlab/apputils', () => import('./lab'));
vi.mock('@jupyterlab/rendermime', () => import('./lab'));
vi.mock('@jupyterlab/ui-components', () => import('./lab'));

const MOST = 4_000_000;

afterEach(cleanup);

/** Gives the journal as the server does: a page ends at a number of entries, or of bytes. */
function journal(all: Entry[], over: boolean) {
  const asked: number[] = [];
  const server = { down: false };
  const get = async (_: string, { after, limit }: { after: number; limit: number }) => {
    if (server.down) {
      throw new ApiError(503, 'The store is busy.', '', '');
    }
    asked.push(after);
    const entries: Entry[] = [];
    let size = 0;
    for (const each of all.slice(after + 1)) {
      if (entries.length >= limit || size >= MOST) {
        break;
      }
      size += (each.text ?? '').length;
      entries.push(each);
    }
    const last = after + entries.length;
    return { entries, last, end: over && last === all.length - 1 };
  };
  let hear: (_: unknown, event: { uid: string; entries: Entry[] }) => void = () => {};
  const signal = { connect: (heard: typeof hear) => (hear = heard), disconnect: () => true };
  const say = (...entries: Entry[]) => hear(null, { uid: 'u', entries });
  const missed = new Signal<object, void>({});
  const model = {
    client: { get, url: (path: string) => path },
    journal: signal,
    missed,
    watch: () => ({ dispose: () => {} })
  };
  return { asked, server, say, missed, model: model as unknown as Model };
}

const entry = (n: number, text: string) => ({ n, t: 0, cell: 0, type: 'stream', text }) as unknown as Entry;

test.each([true, false])('the end of a log is shown, though its pages ended at their size; over: %s', async over => {
  const all = Array.from({ length: 10 }, (_, n) => entry(n, `${'x'.repeat(99)}\n`.repeat(10_000)));
  const { asked, model } = journal([...all, entry(10, 'ValueError: the last\n')], over);
  const container = drawn(<LiveLog uid="u" model={model} going={!over} registry={{} as any} />);
  await waitFor(() => expect(container.textContent).toContain('ValueError: the last'), { timeout: 4000 });
  expect(container.textContent).toContain('Only its end is shown here.');
  // of a run that is over the last page says so; of one that goes on, the one behind it
  await waitFor(() => expect(asked).toEqual(over ? [-1, 3, 7] : [-1, 3, 7, 10]));
});

test('a log that could not be read can be read again', async () => {
  const { server, model } = journal([entry(0, 'hello\n')], true);
  server.down = true;
  const container = drawn(<LiveLog uid="u" model={model} going={false} registry={{} as any} />);
  await screen.findByRole('alert');
  server.down = false;
  fireEvent.click(screen.getByRole('button', { name: 'Try again' }));
  await waitFor(() => expect(container.textContent).toContain('hello'));
  expect(screen.queryByRole('alert')).toBeNull();
});

test('a run that prints faster than it is read is left to the stream', async () => {
  const all = [entry(0, 'line 0\n')];
  const { asked, say, model } = journal(all, false);
  const get = model.client.get.bind(model.client) as any;
  (model.client as any).get = async (...given: unknown[]) => {
    const page = await get(...given);
    // whenever it is asked it has printed more; the stream tells of it now and then
    for (let more = 0; more < 2; more++) {
      all.push(entry(all.length, `line ${all.length}\n`));
    }
    if (asked.length === 3) {
      say(...all.slice(-2));
    }
    return page;
  };
  const container = drawn(<LiveLog uid="u" model={model} going={true} registry={{} as any} />);
  await waitFor(() => expect(container.textContent).toContain('line 6'));
  expect(asked).toHaveLength(3);
  // and where it left something out, the journal has it
  all.push(entry(7, 'line 7\n'), entry(8, 'line 8\n'));
  (model.client as any).get = get;
  say(all[8]);
  await waitFor(() => expect(container.textContent).toContain('line 7\nline 8'));
  expect(container.textContent!.match(/line \d/g)).toHaveLength(9);
});

test('what is told while an empty page is read, and follows on nothing, is read after it', async () => {
  const all: Entry[] = [];
  const { asked, say, model } = journal(all, false);
  const get = model.client.get.bind(model.client) as any;
  (model.client as any).get = async (...given: unknown[]) => {
    const page = await get(...given);
    if (asked.length === 1) {
      all.push(entry(0, 'line 0\n'), entry(1, 'line 1\n'));
      say(all[1]);
    }
    return page;
  };
  const container = drawn(<LiveLog uid="u" model={model} going={true} registry={{} as any} />);
  await waitFor(() => expect(container.textContent).toContain('line 0\nline 1'));
});

test('what may have been missed is read', async () => {
  const all = [entry(0, 'one\n')];
  const { missed, model } = journal(all, false);
  const container = drawn(<LiveLog uid="u" model={model} going={true} registry={{} as any} />);
  await waitFor(() => expect(container.textContent).toContain('one'));
  all.push(entry(1, 'two\n'));
  missed.emit();
  await waitFor(() => expect(container.textContent).toContain('two'));
});

test('what was missed while a page was read is read after it', async () => {
  const all: Entry[] = [];
  const { asked, missed, model } = journal(all, false);
  const get = model.client.get.bind(model.client) as any;
  (model.client as any).get = async (...given: unknown[]) => {
    const page = await get(...given);
    if (asked.length === 1) {
      all.push(entry(0, 'line 0\n'));
      missed.emit(undefined);
    }
    return page;
  };
  const container = drawn(<LiveLog uid="u" model={model} going={true} registry={{} as any} />);
  await waitFor(() => expect(container.textContent).toContain('line 0'));
});
