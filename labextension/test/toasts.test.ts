import { nullTranslator } from '@jupyterlab/translation';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Toasts, whichOf } from '../src/toasts';

const run = (name: string, state = 'completed', more = {}) =>
  ({ uid: name, name, state, iteration: 0, parent: '', cause: '', ...more }) as any;

describe('toasts', () => {
  let toasts: Toasts;
  let shown: unknown[] = [];

  beforeEach(() => {
    vi.useFakeTimers();
    shown = [];
    toasts = new Toasts(
      nullTranslator.load('x'),
      () => undefined,
      (message, type) => String(shown.push([type, message]))
    );
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  it('are one for a run, and one for several that end together', () => {
    toasts.add(run('a'));
    vi.runAllTimers();
    expect(shown).toEqual([['success', 'a has completed.']]);
    shown = [];
    toasts.add(run('a'));
    toasts.add(run('b'));
    toasts.add(run('c', 'error'));
    vi.runAllTimers();
    expect(shown).toEqual([['error', '3 runs have ended. 1 did not complete: c.']]);
  });

  it('leave out children, and what the settings do not want', () => {
    toasts.add(run('a', 'completed', { parent: 'x' }));
    toasts.which = 'failed';
    toasts.add(run('b'));
    toasts.which = 'none';
    toasts.add(run('c', 'error'));
    vi.runAllTimers();
    expect(shown).toEqual([]);
    expect([true, false, 'failed', undefined].map(whichOf)).toEqual(['all', 'none', 'failed', 'all']);
  });
});
