import { act, cleanup, renderHook } from '@testing-library/react';
import { afterEach, beforeAll, expect, test, vi } from 'vitest';
import { useLoad } from '../src/views/pieces';

vi.mock('@jupyterlab/apputils', () => import('./lab'));
vi.mock('@jupyterlab/ui-components', () => import('./lab'));

beforeAll(() => {
  (globalThis as any).IS_REACT_ACT_ENVIRONMENT = true;
});
afterEach(cleanup);

/** Answers when it is told to, with what was asked. */
function loading() {
  const open: { answer(): Promise<void>; fail(): Promise<void> }[] = [];
  const asked: string[] = [];
  const read = (of: string, turn: number) => () => {
    asked.push(`${of}${turn}`);
    return new Promise<string>((done, failed) => {
      open.push({
        answer: () => act(async () => done(`${of}${turn}`)),
        fail: () => act(async () => failed(new Error(`${of}${turn}`)))
      });
    });
  };
  const hook = renderHook(({ of, turn }) => useLoad(read(of, turn), [of], turn), {
    initialProps: { of: 'a', turn: 0 }
  });
  return { asked, open, hook, value: () => hook.result.current.value };
}

test('what is told of more often than it can be read is shown, and read once more at the end', async () => {
  const { asked, open, hook, value } = loading();
  for (let turn = 1; turn <= 5; turn++) {
    hook.rerender({ of: 'a', turn });
  }
  expect(asked).toEqual(['a0']);
  await open[0].answer();
  expect(value()).toBe('a0');
  // all that was told meanwhile is in one answer, to the newest question
  expect(asked).toEqual(['a0', 'a5']);
  await open[1].answer();
  expect(value()).toBe('a5');
  expect(asked).toHaveLength(2);
});

test('the answer to another question is thrown away', async () => {
  const { asked, open, hook, value } = loading();
  hook.rerender({ of: 'b', turn: 0 });
  expect(asked).toEqual(['a0', 'b0']);
  await open[1].answer();
  await open[0].answer();
  expect(value()).toBe('b0');
  expect(asked).toHaveLength(2);
});

test('what is asked for again while it is read is read once more; a failure is no end of it', async () => {
  const { asked, open, hook, value } = loading();
  act(() => {
    hook.result.current.again();
    hook.result.current.again();
  });
  await open[0].fail();
  expect(hook.result.current.error?.why).toContain('a0');
  expect(asked).toHaveLength(2);
  await open[1].answer();
  expect([value(), hook.result.current.error]).toEqual(['a0', null]);
  act(() => hook.result.current.again());
  expect(asked).toHaveLength(3);
});

test('nothing is read for a view that is gone', async () => {
  const { asked, open, hook } = loading();
  act(() => hook.result.current.again());
  hook.unmount();
  await open[0].answer();
  expect(asked).toHaveLength(1);
});
