import { act, cleanup, fireEvent, screen } from '@testing-library/react';
import { useEffect, useState } from 'react';
import { afterEach, beforeAll, expect, test, vi } from 'vitest';
import { ApiError, Query } from '../src/api/client';
import { Page } from '../src/api/types';
import { Listing } from '../src/model';
import { Filtered } from '../src/panel/filtered';
import { drawn } from './lab';

vi.mock('@jupyterlab/ui-components', () => import('./lab'));

interface IThing {
  name: string;
  created: string;
}

beforeAll(() => {
  (globalThis as any).IS_REACT_ACT_ENVIRONMENT = true;
  globalThis.ResizeObserver = class {
    observe() {}
    unobserve() {}
    disconnect() {}
  };
});
afterEach(() => {
  cleanup();
  vi.useRealTimers();
});

/** A server that has two things, or fails, and the list of them. */
function listed() {
  const server = { down: false };
  let redraw = () => {};
  const listing = new Listing<IThing>(
    async (query: Query) => {
      if (server.down) {
        throw new ApiError(503, 'The store is busy.', '', '');
      }
      const all = ['score', 'train'].map(name => ({ name, created: '' }));
      const sought = String(query.name ?? '').slice(1);
      return { items: all.filter(each => each.name.includes(sought)), next_page_token: '' } as Page<IThing>;
    },
    each => each.name,
    () => redraw()
  );
  const Shown = () => {
    const [, set] = useState(0);
    useEffect(() => {
      redraw = () => set(before => before + 1);
    }, []);
    const name = (each: IThing) => each.name;
    return (
      <Filtered
        label="Things"
        listing={listing}
        height={20}
        keyOf={name}
        nameOf={name}
        draw={name}
        open={() => {}}
        empty="None."
      />
    );
  };
  drawn(<Shown />);
  return { server, listing };
}

const rows = () => screen.queryAllByRole('option').map(each => each.textContent);

test('rows that are not the result of the filter are not shown as if they were', async () => {
  vi.useFakeTimers();
  const { server, listing } = listed();
  await act(() => listing.refresh());
  expect(rows()).toEqual(['score', 'train']);
  server.down = true;
  fireEvent.change(screen.getByRole('searchbox'), { target: { value: 'tra' } });
  await act(() => vi.advanceTimersByTimeAsync(1000));
  expect(rows()).toEqual(['score', 'train']);
  expect(screen.getByRole('alert').textContent).toContain('The store is busy.');
  screen.getByText('What is listed below was read before.');
  server.down = false;
  await act(async () => fireEvent.click(screen.getByRole('button', { name: 'Try again' })));
  expect(rows()).toEqual(['train']);
  expect(screen.queryByRole('alert')).toBeNull();
});

test('that a list could not be read anew is said over it', async () => {
  const { server, listing } = listed();
  await act(() => listing.refresh());
  server.down = true;
  await act(() => listing.refresh());
  screen.getByRole('alert');
  expect(rows()).toHaveLength(2);
});
