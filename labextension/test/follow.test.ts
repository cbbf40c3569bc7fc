import { act, renderHook } from '@testing-library/react';
import { Signal } from '@lumino/signaling';
import { beforeAll, expect, test } from 'vitest';
import { RunSummary } from '../src/api/types';
import { Model } from '../src/model';
import { useFollowed } from '../src/run/use';

beforeAll(() => {
  (globalThis as any).IS_REACT_ACT_ENVIRONMENT = true;
});

test('what is read of a run that has ended counts, though the stream told last that it goes on', () => {
  const model = {} as { runChanged: Signal<unknown, RunSummary> };
  model.runChanged = new Signal(model);
  const run = (state: string) => ({ uid: 'c', state }) as RunSummary;
  const hook = renderHook(({ read }) => useFollowed(model as unknown as Model, read, () => true, 'sweep'), {
    initialProps: { read: [] as RunSummary[] }
  });
  act(() => model.runChanged.emit(run('running')));
  expect(hook.result.current[0].state).toBe('running');
  // the connection was away when it ended
  hook.rerender({ read: [run('completed')] });
  expect(hook.result.current[0].state).toBe('completed');
});
