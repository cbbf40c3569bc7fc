import { beforeEach, expect, test } from 'vitest';
// @ts-expect-error it is given to the page as it is, and has no types
import widget from '../../mlrun_jupyter/live/widget.js';

/** What the kernel and the page both see. */
class Shared {
  private _heard: Record<string, () => void> = {};
  constructor(private _state: Record<string, unknown>) {}
  get = (name: string) => this._state[name];
  send = () => undefined;
  off = () => undefined;
  on(event: string, heard: () => void) {
    this._heard[event] = heard;
  }
  set(name: string, to: unknown) {
    this._state[name] = to;
    this._heard[`change:${name}`]?.();
  }
}

const SHOWN = {
  uid: 'u',
  name: 'train',
  state: 'running',
  over: false,
  mark: '●',
  done: 0,
  of: 0,
  text: '',
  elapsed: 0
};

let model: Shared;
let el: HTMLElement;

beforeEach(() => {
  model = new Shared({ shown: { ...SHOWN, note: '' }, log: '', aborting: false });
  el = document.createElement('div');
});

const note = () => el.querySelector('.mlrun-live-note')!.textContent;

test('what was wrong is said until it is right again', () => {
  const away = widget.render({ model, el });
  model.set('shown', { ...SHOWN, note: 'The store cannot be reached.' });
  expect(note()).toBe('The store cannot be reached.');
  model.set('shown', { ...SHOWN, note: '' });
  expect(note()).toBe('');
  away();
});

test('that nobody hears the button is not wiped away by what the run does', () => {
  const away = widget.render({ model, el });
  el.querySelector('.mlrun-live-note')!.textContent = 'The kernel is busy.';
  model.set('shown', { ...SHOWN, note: '', done: 1 });
  expect(note()).toBe('The kernel is busy.');
  away();
});
