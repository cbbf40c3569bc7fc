import { act, renderHook } from '@testing-library/react';
import { Signal } from '@lumino/signaling';
import { beforeAll, expect, test } from 'vitest';
import { FunctionSummary, RunSummary } from '../src/api/types';
import { useVersions } from '../src/functions/use';
import { Model } from '../src/model';
import { useFollowed } from '../src/run/use';

beforeAll(() => {
  (globalThis as any).IS_REACT_ACT_ENVIRONMENT = true;
});

test('what is read of a run that has ended counts, though the stream told last that it goes on', () => {
  const model = {} as { runChanged: Signal<unknown, RunSummary>; missed: Signal<unknown, void> };
  model.runChanged = new Signal(model);
  model.missed = new Signal(model);
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

test('a version of a function is heard of, though the list of functions is narrowed to others', () => {
  const model = { functions: { items: [] } } as any;
  for (const each of ['functionChanged', 'changed', 'missed']) {
    model[each] = new Signal(model);
  }
  const tell = (name: string, project = 'p') =>
    act(() => {
      model.functionChanged.emit({ project, name } as FunctionSummary);
      model.changed.emit(undefined);
    });
  const hook = renderHook(() => useVersions(model, 'p', 'train'));
  tell('train');
  expect(hook.result.current).toBe(1);
  tell('train', 'other');
  tell('score');
  expect(hook.result.current).toBe(1);
  act(() => model.missed.emit(undefined));
  expect(hook.result.current).toBe(2);
});
