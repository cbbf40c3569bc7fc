import { ServerConnection } from '@jupyterlab/services';
import { expect, test } from 'vitest';
import { Client, eventParser } from '../src/api/client';
import { Event } from '../src/api/types';

function clientOf(body: ReadableStream<Uint8Array>, silence: number): Client {
  const fetch = async () => new Response(body, { status: 200 });
  return new Client(ServerConnection.makeSettings({ baseUrl: 'http://localhost/', fetch }), silence);
}

test('a connection that says nothing any more is given up', async () => {
  let cancelled = false;
  const body = new ReadableStream<Uint8Array>({
    start: to => to.enqueue(new TextEncoder().encode('event: hello\ndata: {}\n\n')),
    cancel: () => void (cancelled = true)
  });
  const seen: string[] = [];
  const reading = clientOf(body, 30).events({}, '', event => void seen.push(event.event), new AbortController().signal);
  await expect(reading).rejects.toMatchObject({ status: 0, why: 'The connection was lost.' });
  expect(seen).toEqual(['hello']);
  expect(cancelled).toBe(true);
});

test('one that says something now and then is not', async () => {
  const body = new ReadableStream<Uint8Array>({
    async start(to) {
      for (let each = 0; each < 6; each++) {
        await new Promise(done => setTimeout(done, 20));
        to.enqueue(new TextEncoder().encode(': still here\n\n'));
      }
      to.close();
    }
  });
  await clientOf(body, 80).events({}, '', () => undefined, new AbortController().signal);
});

test('whole numbers of any length are told as they are', () => {
  const seen: Event[] = [];
  eventParser(event => void seen.push(event))('event: run\ndata: {"seed": 12345678901234567891, "n": 3}\n\n');
  expect(seen[0].data).toEqual({ seed: 12345678901234567891n, n: 3 });
});
