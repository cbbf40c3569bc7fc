import { cleanup, waitFor } from '@testing-library/react';
import { afterEach, expect, test, vi } from 'vitest';
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
  const get = async (_: string, { after, limit }: { after: number; limit: number }) => {
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
  const signal = { connect: () => true, disconnect: () => true };
  const model = { client: { get, url: (path: string) => path }, journal: signal, watch: () => ({ dispose: () => {} }) };
  return { asked, model: model as unknown as Model };
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
